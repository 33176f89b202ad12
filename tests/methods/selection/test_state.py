import logging

import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.methods.selection.round import rounds_batches
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.methods.selection.state import SelectionCurriculum
from verl_dots.methods.selection.trust import Trust


def settings(**changes):
    return SelectionConfig(**{"references": 8, "mu": 2, "tau": 0.0, "rho_floor": -1.0, **changes})


def curriculum(questions=100, batch_size=4, fresh=None, **changes):
    return SelectionCurriculum(settings(**changes), questions, batch_size, np.random.default_rng(1), fresh)


DIFFICULTY = np.linspace(0, 1, 100)  # of question 0 .. 99


def plan_round(one, predicted=DIFFICULTY, measured=None, held_out=None, effective=None):
    """Begin and plan a round, whose predictions are right unless others are given; references, reused positions."""
    references = one.begin_round()
    measured = predicted[references] if measured is None else measured
    effective = np.zeros(len(references), dtype=bool) if effective is None else effective
    held_out = measured if held_out is None else held_out
    return references, one.plan(references, measured, effective, held_out, predicted, 0.5)


def batches(one):
    """What is left of the round, at the target that it was planned at."""
    found = []
    while not one.round_due:
        found.append(one.next_batch(0.5))
    return found


def nearest_others(references):
    """All other questions, the nearest to 0.5 first."""
    others = [question for question in range(100) if question not in references]
    return sorted(others, key=lambda question: abs(DIFFICULTY[question] - 0.5))


def test_a_round_is_references_and_mu_batches_of_the_nearest_others_with_the_next_best_in_reserve():
    one = curriculum(fresh=2)  # of a batch of 4: replay gives the others
    assert one.round_due
    references, reused = plan_round(one)
    assert len(set(references)) == 8 and len(reused) == 0
    chosen, nearest = batches(one), nearest_others(references)
    assert [len(batch) for batch in chosen] == [2, 2]
    assert sorted(np.concatenate(chosen)) == sorted(nearest[:4])
    first, second = one.top_up(3, set()), one.top_up(1, {nearest[0]})
    assert sorted([*first, *second]) == sorted(nearest[4:8])


def test_a_top_up_takes_none_of_the_excluded_and_goes_beyond_the_reserve():
    one = curriculum(fresh=2)
    references, _ = plan_round(one)
    excluded = set(nearest_others(references)[:6])
    extra = one.top_up(50, excluded)
    assert len(set(extra)) == 50 and not set(extra) & excluded
    assert len(one.top_up(1000, range(90))) <= 10  # no more than there are


def test_spare_questions_are_the_next_nearest_and_move_nothing_else():
    made = [SelectionCurriculum(settings(), 100, 4, np.random.default_rng(1), 2, spare) for spare in (0, 3)]
    for _ in range(2):
        (references, _), (same, _) = map(plan_round, made)
        without, one = map(batches, made)
        assert references.tolist() == same.tolist() and np.array_equal(without, one)
        reserve = made[0].top_up(4, set())
        assert made[1].top_up(4, set()).tolist() == reserve.tolist()
        # Two batches of three more, nearest first: ranks 8 to 13 behind the 4 chosen and the 4 of the reserve.
        spare = made[1].top_up(6, set()).tolist()
        assert sorted(spare) == sorted(nearest_others(references)[8:14])
        assert np.all(np.diff(np.abs(DIFFICULTY[spare] - 0.5)) >= 0)
        assert set(spare) <= set(made[1].predicted)
    uniform = SelectionCurriculum(settings(tau=np.inf), 100, 4, np.random.default_rng(1), 2, 3)
    plan_round(uniform)
    assert len(uniform.predicted) == 8  # chosen ones and the reserve


def test_references_are_drawn_uniformly():
    # 8 of 100 in 2,000 rounds: 160 each, standard deviation sqrt(2000 * .08 * .92) = 12.1
    one = curriculum()
    counts = np.bincount(np.concatenate([one.begin_round() for _ in range(2000)]), minlength=100)
    assert (np.abs(counts - 160) < 5 * 12.1).all()


@pytest.mark.parametrize(
    ("changes", "reused", "sizes"),
    [
        ({"batch_size": 6}, [1, 5, 4, 2], [2, 6]),  # nearest to 0.5 first
        ({"batch_size": 4}, [1, 5, 4], [1, 4]),  # one question of a batch is always fresh
        ({"batch_size": 6, "fresh": 3}, [1, 5, 4, 2], [1, 3]),  # fresh questions give way, then replayed ones
        ({"reuse_references": False}, [], [4, 4]),
    ],
)
def test_effective_references_take_the_place_of_fresh_questions_in_the_first_batch(changes, reused, sizes):
    one = curriculum(**changes)
    measured = np.array([0.0, 0.5, 0.9, 1.0, 0.25, 0.625, 0.0, 1.0])
    _, found = plan_round(one, measured=measured, effective=(measured > 0) & (measured < 1))
    assert found.tolist() == reused and [len(batch) for batch in batches(one)] == sizes


def test_few_questions_make_references_candidates_and_say_so(caplog):
    with caplog.at_level(logging.WARNING):
        one = curriculum(questions=14)
    assert "only 14 questions: 8 references and 2 batches of 4 overlap" in caplog.text
    difficulty = np.linspace(0, 1, 14)
    references = one.begin_round()
    # Whatever was predicted for the references, what was measured counts.
    predicted = difficulty.copy()
    predicted[references] = 0.5
    one.plan(references, difficulty[references], np.zeros(8, dtype=bool), difficulty[references], predicted, 0.5)
    assert sorted(np.concatenate(batches(one))) == [3, 4, 5, 6, 7, 8, 9, 10]


def test_references_are_candidates_by_what_was_measured_where_the_settings_say_so():
    for candidates in (False, True):
        one = curriculum(questions=40, batch_size=4, mu=1, references_are_candidates=candidates)
        references = one.begin_round()
        measured = np.array([0.5, 0.5, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9])
        one.plan(references, measured, np.zeros(8, dtype=bool), measured, np.full(40, 0.4), 0.5)
        chosen = batches(one)[0]
        assert set(references[:2]) <= set(chosen) if candidates else not set(references) & set(chosen)
        assert set(one.predicted) == set(chosen) - set(references)  # these were measured
        assert not set(references[2:]) & set(chosen)


def test_candidates_without_reference_groups_that_are_trained_on():
    one = curriculum(questions=40, batch_size=4, mu=1, references_are_candidates=True, reuse_references=True)
    references, reused = plan_round(one, np.full(40, 0.5), effective=np.ones(8, dtype=bool))
    assert len(reused) == 3 and not set(references[reused]) & set(batches(one)[0])


def test_reused_references_are_not_selected_as_well():
    one = curriculum(questions=10, batch_size=4)
    references, reused = plan_round(one, np.full(10, 0.5), effective=np.ones(8, dtype=bool))
    chosen = set(np.concatenate(batches(one)))
    assert len(reused) == 3 and len(chosen) == 5 and not set(references[reused]) & chosen


def test_too_few_questions_shorten_the_round_or_are_refused(caplog):
    with caplog.at_level(logging.WARNING):
        assert rounds_batches(settings(mu=5), 20, 8) == 2
    assert "selecting 2 a round" in caplog.text
    with pytest.raises(ValueError, match="dots.selection.references=8 is more than the 7 questions"):
        rounds_batches(settings(), 7, 2)
    with pytest.raises(ValueError, match="data.train_batch_size=64 is more than the 20 questions"):
        rounds_batches(settings(), 20, 64)


def test_more_references_than_they_select_are_told(caplog):
    """The settings have 8 references."""
    with caplog.at_level(logging.WARNING):
        assert rounds_batches(settings(mu=2), 100, 4) == 2
        assert not caplog.text
        assert rounds_batches(settings(mu=1), 100, 4) == 1
    assert "references=8 groups are rolled out to select 4 questions a round" in caplog.text
    assert caplog.text.strip().endswith("here 1")


def test_observed_difficulty_is_compared_with_the_prediction():
    one = curriculum(batch_size=2, mu=1)
    references, _ = plan_round(one, np.where(np.arange(100) < 50, 0.48, 0.54), measured=np.zeros(8))
    low, high = one.next_batch(0.5)
    figures = one.observe(np.array([low, high, references[0]]), np.array([0.25, 0.25, 1.0]))
    assert figures["measured_difficulty"] == 0.25  # the reference was not predicted
    assert figures["predicted_difficulty"] == pytest.approx(0.48)
    assert figures["calibration_error"] == pytest.approx(0.23)
    assert "rho" not in figures  # constant: undefined
    assert one.observe(references[:1], np.array([0.5])) == figures


def test_what_an_earlier_round_has_asked_for_is_compared_with_its_own_prediction():
    one = curriculum(batch_size=2, mu=1)
    plan_round(one, np.full(100, 0.5))
    low, high = one.next_batch(0.5)
    # The round predicts 0.5 of these two; one is in flight, the other was asked for when 0.25 was predicted.
    figures = one.observe(np.array([low, high]), np.array([1.0, 0.75]), {high: 0.25})
    assert figures == {"predicted_difficulty": 0.25, "measured_difficulty": 0.75, "calibration_error": 0.5}


def test_trust_is_lost_below_the_floor_said_once_and_tried_again(caplog):
    one = curriculum(rho_floor=0.2, rho_rounds=2, uniform_rounds=3)
    with caplog.at_level(logging.WARNING):
        for expected in (False, True):
            plan_round(one, measured=np.linspace(0, 1, 8), held_out=np.linspace(1, 0, 8))
            assert bool(one.trust.paused) == expected and len(batches(one)) == 2
        for _ in range(3):
            assert len(one.begin_round()) == 0
            one.plan_uniform()
            assert [len(batch) for batch in batches(one)] == [4, 4]
        assert len(one.begin_round()) == 8
    assert caplog.text.count("are drawn uniformly in this round and the next 3") == 1


def test_trust_pools_the_rounds():
    trust = Trust(floor=0.0, rounds=2, pause=1)
    trust.judge(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert trust.rho == pytest.approx(1.0)
    # predicted (0 1 1 0), measured (0 1 0 1): deviations multiply to 1/4 + 1/4 - 1/4 - 1/4
    trust.judge(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert trust.rho == pytest.approx(0.0) and not trust.paused


def test_a_restored_trust_has_the_same_correlation_to_tell():
    trust, restored = (Trust(floor=0.0, rounds=2, pause=1) for _ in range(2))
    trust.judge(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0]))
    restored.load_state_dict(trust.state_dict())
    for one in (trust, restored):  # a round without references judges nothing
        one.judge(np.empty(0), np.empty(0))
        assert one.rho == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("predicted", "measured", "rho", "paused"),
    [
        ([0.2, 0.8], [1.0, 1.0], float("nan"), 0),  # undefined: nothing is said against the predictions
        ([0.5, 0.5], [0.0, 1.0], 0.0, 1),  # predictions that are all alike order nothing
        ([1.0, 0.0], [0.0, 1.0], -1.0, 1),  # the verdict's rho is kept
    ],
)
def test_a_verdict_of_one_round(predicted, measured, rho, paused):
    trust = Trust(floor=0.5, rounds=1, pause=1)
    trust.judge(np.array(predicted), np.array(measured))
    assert trust.rho == pytest.approx(rho, nan_ok=True) and trust.paused == paused


def test_a_state_of_other_data_is_refused():
    state = curriculum().state_dict()
    with refused("questions to select from", "other run", "has 100", "has 90"):
        curriculum(questions=90).load_state_dict(state)
    with refused("selection", "other run", "'rng'"):
        curriculum().load_state_dict({name: value for name, value in state.items() if name != "rng"})


def test_selected_references_are_not_counted_as_predicted():
    one = curriculum(questions=10, batch_size=8, mu=1)
    references, _ = plan_round(one, np.full(10, 0.4), measured=np.full(8, 0.5), held_out=np.full(8, 0.4))
    chosen = one.next_batch(0.5)
    assert set(chosen) == set(references)  # measured at alpha: the nearest
    assert one.observe(chosen, np.full(8, 0.4)) == {}


def test_the_first_rounds_can_be_uniform_and_cost_no_references():
    one = curriculum(uniform_start=2)
    for _ in range(2):
        assert len(one.begin_round()) == 0
        one.plan_uniform()
        assert [len(batch) for batch in batches(one)] == [4, 4] and one.predicted == {}
    assert len(one.begin_round()) == 8


def test_uniform_rounds_keep_a_reserve_too():
    one = curriculum(fresh=2, rho_floor=0.2, rho_rounds=1, uniform_rounds=1)
    plan_round(one, measured=np.linspace(0, 1, 8), held_out=np.linspace(1, 0, 8))
    one.plan_uniform()
    chosen = [*np.concatenate(batches(one)), *one.top_up(4, set())]
    assert len(chosen) == 8 == len(set(chosen))


def test_by_effectiveness_references_are_drawn_by_their_expected_share_too():
    """One effective group of a question does not say that all are: it would come before every other."""
    one = curriculum(questions=14, reuse_references=False, references_are_candidates=True, score="effectiveness")
    references, half = one.begin_round(), np.full(8, 0.5)
    expected = np.full(14, 0.6)
    expected[references] = [0.7, 0.5, 0.7, 0.5, 0.7, 0.5, 0.7, 0.5]
    one.plan(references, half, np.arange(8) < 5, half, np.full(14, 0.5), 0.5, expected)
    chosen = set(np.concatenate(batches(one)))
    others = set(range(14)) - set(references)
    assert len(chosen) == 8 and set(references[::2]) < chosen and len(chosen & others) == 4
