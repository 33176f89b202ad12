import numpy as np
import pytest

from tests.methods.memory import carry_over
from verl_dots.methods.selection.exploration import Exploration
from verl_dots.methods.selection.trust import LEAST, Trust
from verl_dots.state import StateError

RNG = np.random.default_rng


class Told:
    """Draws the first of what there is."""

    def choice(self, values, count, replace):
        return np.array(values[:count])

    def permutation(self, values):
        return values


PREDICTED = np.linspace(0, 1, 20)


@pytest.mark.parametrize(
    ("share", "fresh", "count"), [(0.1, 64, 6), (0.1, 8, 1), (0.01, 8, 1), (0.9, 4, 3), (0.5, 2, 1)]
)
def test_questions_of_a_batch(share, fresh, count):
    assert Exploration(share, fresh, 100).count == count


def test_one_question_cannot_be_shared():
    with pytest.raises(ValueError, match="needs two questions or more that a step rolls out, not 1"):
        Exploration(0.1, 1, 100)


def test_others_are_drawn_uniformly_and_no_question_comes_twice():
    one, selected, rng = Exploration(0.5, 4, 20), np.array([3, 7]), RNG(0)
    times = np.zeros(20)
    for _ in range(1800):
        batch = one.mixed(selected, rng)
        assert len(set(batch.tolist())) == 4 and {3, 7} <= set(batch.tolist())
        times[batch] += 1
    others = np.delete(times, selected)
    assert (abs(others - 200) < 70).all()  # 2 of 18, 1800 times: 200, with a deviation of 13
    first = {tuple(np.flatnonzero(np.isin(one.mixed(selected, rng), selected))) for _ in range(100)}
    assert len(first) == 6  # they stand anywhere: mini-batches have both kinds
    assert len(one.mixed(np.arange(19), rng)) == 20  # one other is left


def test_what_was_predicted_is_compared_with_what_is_measured_later():
    one = Exploration(0.5, 4, 20)
    one.mixed(np.array([3, 7]), RNG(0))
    assert not one.learnt and one.predicted == {}  # nothing was predicted
    assert one.observe(np.array([3, 7]), np.array([0.5, 0.5])).tolist() == [False, False] and one.learnt
    one.begin_round(PREDICTED)
    drawn = [question for question in one.mixed(np.array([3, 7]), RNG(0)).tolist() if question not in (3, 7)]
    assert one.predicted == {question: PREDICTED[question] for question in drawn}
    found = one.observe(np.array([3, drawn[0]]), np.array([0.5, 0.25]))
    assert found.tolist() == [False, True] and list(one.predicted) == [drawn[1]]
    predicted_K, measured_K = one.take_pairs()
    assert predicted_K.tolist() == [PREDICTED[drawn[0]]] and measured_K.tolist() == [0.25]
    assert len(one.take_pairs()[0]) == 0
    one.begin_round(None)
    assert one.predicted == {}


def test_a_question_that_one_batch_selects_and_another_draws_measures_nothing():
    """Several batches are planned before the first is measured, as with preemptive sampling. There are 6 questions."""
    one, pairs = Exploration(0.5, 4, 6), []
    for seed in range(200):
        one.begin_round(np.linspace(0, 1, 6))
        first, second = one.mixed(np.array([0, 1]), RNG(seed)), one.mixed(np.array([2, 3]), RNG(seed + 1))
        draws = [set(batch.tolist()) - selected for batch, selected in ((first, {0, 1}), (second, {2, 3}))]
        for batch in (first, second):
            uniform = set(batch[one.observe(batch, np.full(4, 0.5))].tolist())
            assert uniform <= set.union(*draws) - {0, 1, 2, 3}, "each of these was selected in one of the batches"
            pairs += sorted(uniform)
    assert set(pairs) == {4, 5}


def test_a_question_of_two_batches_is_awaited_until_both_are_measured():
    one = Exploration(0.5, 2, 3)
    one.begin_round(np.linspace(0, 1, 3))
    drawn = []
    for selected in ([0], [0], [1]):  # nothing is left for the last draw but what another batch has selected
        batch = one.mixed(np.array(selected), Told())
        drawn.append(sorted(set(batch.tolist()) - set(selected)))
        if len(drawn) == 2:
            one.observe(np.array([0, *drawn[0]]), np.full(2, 0.5))
    assert drawn[2] == [0] and not one.observe(np.array([0, *drawn[1]]), np.full(2, 0.5))[0]


def test_a_drawn_question_that_failed_is_not_uniform_once_it_is_selected():
    one = Exploration(0.5, 4, 20)
    one.begin_round(PREDICTED)
    drawn = sorted(set(one.mixed(np.array([3, 7]), RNG(0)).tolist()) - {3, 7})
    one.observe(np.array([3, 7, drawn[1]]), np.full(3, 0.5))  # the other was given up
    one.mixed(np.array([drawn[0], 7]), RNG(1))
    assert not one.observe(np.array([drawn[0]]), np.array([0.5])).any()


def test_what_was_asked_for_in_an_earlier_round_is_compared_with_what_was_predicted_then():
    one = Exploration(0.5, 4, 20)
    one.begin_round(PREDICTED)
    drawn = [question for question in one.mixed(np.array([3, 7]), RNG(0)).tolist() if question not in (3, 7)]
    # Of an earlier round 1 and 2 were drawn uniformly and 5 was selected; 2 was asked for twice. Nothing is known of 9.
    asked, measured = {1: 0.125, 2: 0.75, 5: 0.5}, np.array([0.0, 1.0, 0.5, 1.0, 0.25])
    found = one.observe(np.array([1, 2, 5, 9, 2]), measured, asked, {1, 2, 9})
    assert found.tolist() == [True, True, False, False, True]
    assert [column.tolist() for column in one.take_pairs()] == [[0.125, 0.75, 0.75], [0.0, 1.0, 0.25]]
    # This round's own are in flight.
    assert not one.observe(np.array(drawn), np.array([0.5, 0.5]), {}, set(drawn)).any()
    assert set(one.predicted) == set(drawn) and len(one.take_pairs()[0]) == 0


def test_the_state_is_all_that_later_draws_depend_on(tmp_path):
    one, other = (Exploration(0.5, 4, 20) for _ in range(2))
    one.begin_round(PREDICTED)
    drawn = one.mixed(np.array([3, 7]), RNG(0))
    one.observe(drawn[:2], np.array([0.1, 0.2]))
    carry_over(one, other, tmp_path)
    for again in (one, other):
        again.mixed(np.array([1]), RNG(1))
    assert one.predicted == other.predicted and one.learnt and other.learnt
    assert np.array_equal(one.take_pairs(), other.take_pairs())
    with pytest.raises(StateError, match="drawn uniformly"):
        carry_over(one, Exploration(0.25, 4, 20), tmp_path)


def test_a_verdict_waits_for_enough_pairs():
    wrong = (np.array([0.0, 1.0, 0.5, 0.25]), np.array([1.0, 0.0, 0.5, 0.75]))
    trust = Trust(floor=0.1, rounds=2, pause=3, least=LEAST)
    for number in range(1, LEAST // 4):
        trust.judge(*wrong)
        assert trust.pairs == 4 * number and not trust.paused and trust.rho == pytest.approx(-1 if number else 0)
    trust.judge(np.empty(0), np.empty(0))  # a round in which all of them failed says nothing
    assert trust.pairs == LEAST - 4 and not trust.paused
    trust.judge(*wrong)
    assert trust.paused == 3 and trust.pairs == 0
    # Of good ones no more rounds are kept than are needed.
    for _ in range(20):
        trust.judge(wrong[0], wrong[0])
    assert trust.pairs == LEAST


def test_a_few_equal_outcomes_are_no_verdict():
    trust = Trust(floor=0.1, rounds=1, pause=3)
    trust.judge(np.array([0.2, 0.8]), np.array([1.0, 1.0]))  # all of the references are hard: nothing can be said
    assert np.isnan(trust.rho) and not trust.paused
    trust.judge(np.array([0.5]), np.array([1.0]))
    assert np.isnan(trust.rho) and not trust.paused
    trust.judge(np.array([0.5, 0.5]), np.array([1.0, 0.0]))  # predictions that are all alike order nothing
    assert trust.rho == 0 and trust.paused == 3
    for left in (2, 1, 0, 0):
        trust.pass_round()
        assert trust.paused == left
