import numpy as np
import pytest

from tests.methods.memory import carry_over
from tests.refusals import refused
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.methods.mopps.state import MoPPSState

REFERENCE = np.linspace([0.0, 0.4], [0.6, 1.0], 20)  # of questions 0 .. 19; the stronger model is ahead by 0.4


def mopps(questions=20, fresh=4, seed=1, reference=None, **changes):
    settings = MoPPSConfig(**{"enable": True, **changes})
    return MoPPSState(settings, questions, fresh, np.random.default_rng(seed), reference)


def observe(state, questions, success, rollouts=8):
    return state.observe(np.array(questions), np.array(success, dtype=float), np.full(len(questions), rollouts))


def test_what_was_measured_is_predicted_and_the_rest_stays_at_the_prior():
    state = mopps(memory=0.5)
    assert state.predicted(np.arange(3)) == pytest.approx([0.5, 0.5, 0.5])
    observe(state, [0, 1], [1.0, 0.25])  # (9, 1), (3, 7)
    assert state.predicted(np.arange(3)) == pytest.approx([0.1, 0.7, 0.5])
    observe(state, [0], [0.5])  # 0.5 * (9, 1) + 0.5 * (1, 1) + (4, 4) = (9, 5); question 1 is not forgotten
    assert state.predicted(np.arange(3)) == pytest.approx([5 / 14, 0.7, 0.5])


def test_the_figures_of_a_step_compare_what_was_predicted_before_it():
    state = mopps(questions=8)
    first = observe(state, [0, 1], [1.0, 0.0])
    assert first == pytest.approx({"predicted_difficulty": 0.5, "measured_difficulty": 0.5, "covered": 0.25})
    second = observe(state, [0, 1, 1], [0.75, 0.25, 0.25])  # predicted 0.1, 0.9, 0.9
    assert second["predicted_difficulty"] == pytest.approx(1.9 / 3) and second["rho"] == pytest.approx(1)
    assert second["measured_difficulty"] == pytest.approx(1.75 / 3) and second["covered"] == 0.25
    # Twice: (1, 9) + 2 * (2, 6)
    assert state.predicted(np.array([1])) == pytest.approx([21 / 26])


def test_questions_of_the_target_difficulty_are_planned_and_topped_up():
    state = mopps(candidates=None)
    observe(state, list(range(20)), np.arange(20) / 19, rollouts=10**9)
    assert sorted(state.planned(0.5)) == [8, 9, 10, 11]
    assert sorted(state.planned(1.0)) == [0, 1, 2, 3]  # the hardest
    assert sorted(state.top_up(3, {8, 9, 10, 11}, 0.5 + 1e-3)) == [6, 7, 12]
    assert len(state.top_up(30, range(15), 0.5)) == 5 and len(state.top_up(0, (), 0.5)) == 0


def test_only_candidates_can_be_chosen():
    """A single candidate for each: a uniform choice without repeats, whatever is known."""
    state = mopps(candidates=1)
    observe(state, list(range(20)), np.arange(20) / 19, rollouts=10**6)
    batches = [state.planned(0.5) for _ in range(2000)]
    assert all(len(set(batch)) == 4 for batch in batches)
    counts = np.bincount(np.concatenate(batches), minlength=20)  # 400 each
    assert (np.abs(counts - 400) < 5 * np.sqrt(2000 * 0.2 * 0.8)).all()


def test_references_carry_what_was_measured_to_every_question():
    state = mopps(reference=REFERENCE, memory=0.9, implicit=0.1)
    # Question 0 has 0 and 0.4, question 19 has 0.6 and 1: means 0.3 and 0.7. Success 0.5 is in the middle.
    assert observe(state, [0, 19], [0.3, 0.7])["capability"] == pytest.approx(0.5)
    # 0: (1, 1) + 8 * (0.3, 0.7) = (3.4, 6.6). 10: success 0.2 + 6 / 19, weight 0.1 * 8.
    success = 0.2 + 6 / 19
    assert state.predicted(np.array([0, 10])) == pytest.approx([0.66, 1 - (1 + 0.8 * success) / 2.8])
    # Capability 0.9 * 0.5 + 0.1 * 1.5; question 0 is now forgotten in part as well: its rate is 0.6 * 0.4.
    assert observe(state, [10], [0.6 + 6 / 19])["capability"] == pytest.approx(0.6)
    successes, failures = 0.9 * 3.4 + 0.1 + 0.8 * 0.24, 0.9 * 6.6 + 0.1 + 0.8 * 0.76
    assert state.predicted(np.array([0])) == pytest.approx([failures / (successes + failures)])


def test_references_of_no_weight_and_nothing_forgotten_are_mopps():
    plain, with_references = mopps(), mopps(reference=REFERENCE, implicit=0.0)
    for success in (0.25, 0.75):
        planned = plain.planned(0.5).tolist()
        assert with_references.planned(0.5).tolist() == planned
        observe(plain, planned, [success] * 4)
        observe(with_references, planned, [success] * 4)
    assert with_references.predicted(np.arange(20)).tolist() == plain.predicted(np.arange(20)).tolist()


@pytest.mark.parametrize("reference", [None, REFERENCE])
def test_a_restored_state_goes_on_the_same(tmp_path, reference):
    whole, restored = mopps(reference=reference, memory=0.8), mopps(seed=99, reference=reference, memory=0.8)
    observe(whole, whole.planned(0.5), [0.1, 0.4, 0.6, 1.0])
    carry_over(whole, restored, tmp_path)
    for _ in range(2):
        planned = whole.planned(0.5)
        assert restored.planned(0.5).tolist() == planned.tolist()
        assert restored.top_up(2, planned, 0.5).tolist() == whole.top_up(2, planned, 0.5).tolist()
        assert observe(restored, planned, [0.2, 0.3, 0.5, 0.9]) == observe(whole, planned, [0.2, 0.3, 0.5, 0.9])
    assert restored.predicted(np.arange(20)).tolist() == whole.predicted(np.arange(20)).tolist()
    with refused("fresh questions of a step", "other run", "has 4", "has 5"):
        mopps(fresh=5, reference=reference).load_state_dict(whole.state_dict())
    with refused("success rates of dots.mopps.reference", "other run"):
        mopps(reference=REFERENCE if reference is None else None).load_state_dict(whole.state_dict())


def test_what_cannot_be_chosen_from_is_refused():
    with pytest.raises(ValueError, match="data.train_batch_size"):
        mopps(questions=3)
    with pytest.raises(ValueError, match=r"reference success rates have shape \(20, 2\); it must be \(3, 2\)"):
        mopps(questions=3, fresh=2, reference=REFERENCE)
    with pytest.raises(ValueError, match=r"20 questions have .*the first is question 0 with \[0.0, 40.0\]"):
        mopps(reference=100 * REFERENCE)
    with pytest.raises(ValueError, match="3 predictions for 1 measurements"):
        mopps().observe(np.arange(3), np.array([0.5]), np.array([8]))


def test_settings_that_cannot_work_are_refused():
    given = {"reference": ["extra_info.weak", "extra_info.strong"], "prior": [1, 3], "candidates": None}
    built = MoPPSConfig.from_mapping(given, "dots.mopps")
    assert (built.reference, built.prior, built.candidates) == (("extra_info.weak", "extra_info.strong"), (1, 3), None)
    for key, value in (("prior", [0, 1]), ("candidates", 0), ("reference", ["a", "a"]), ("target", 1.5)):
        with refused(f"dots.mopps.{key}", "range"):
            MoPPSConfig.from_mapping({key: value}, "dots.mopps")
