import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.difficulty.inputs import online_inputs
from verl_dots.difficulty.logistic import RIDGES, best_ridge, expit, fit_logistic
from verl_dots.difficulty.online import MOST_OBSERVED, OnlinePredictor, implied
from verl_dots.methods.selection.rule import select
from verl_dots.state import load_state, save_state
from verl_dots.step import effective_share


def test_logistic_fit_by_hand():
    # A constant alone: the weighted mean rate (2 * .25 + 1 * .85) / 3 = .45, logit -0.2007
    b = fit_logistic(np.ones((2, 1)), np.array([0.25, 0.85]), np.array([2.0, 1.0]), ridge=1.0)
    assert b == pytest.approx([np.log(0.45 / 0.55)], abs=1e-6)
    # x = -1, 1 with rates .2, .8 and no penalty: b = (logit .8, 0)
    x = np.array([[-1.0, 1.0], [1.0, 1.0]])
    b = fit_logistic(x, np.array([0.2, 0.8]), np.ones(2), ridge=0.0)
    assert b == pytest.approx([np.log(4), 0.0], abs=1e-6)
    # An overwhelming penalty leaves the mean.
    assert fit_logistic(x, np.array([0.2, 0.8]), np.ones(2), ridge=1e9) == pytest.approx([0.0, 0.0], abs=1e-6)
    # Towards 1 in place of 0; and at b = 0, by hand: 2 (1/2 - .8) + 1 * (0 + .6) = 0.
    towards = np.array([1.0, 0.0])
    rate_N = np.array([0.2, 0.8])
    assert fit_logistic(x, rate_N, np.ones(2), ridge=1e9, towards=towards) == pytest.approx([1.0, 0.0], abs=1e-6)
    assert fit_logistic(x, rate_N, np.ones(2), 1.0, towards=-0.6 * towards) == pytest.approx([0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize(("rate", "expected"), [(1.0, 3.5 / 4), (0.0, 0.5 / 4)])
def test_a_prior_is_one_observation_of_one_half(rate, expected):
    # Three observations of one rate and one of 1/2.
    ones, rate_N = np.ones((3, 1)), np.full(3, rate)
    assert expit(fit_logistic(ones, rate_N, np.ones(3), ridge=1.0, prior=1.0)) == pytest.approx([expected], abs=1e-6)
    # It is of the constant alone, and so of no other feature.
    x = np.array([[-1.0, 1.0], [1.0, 1.0]])
    b = fit_logistic(x, np.array([0.2, 0.8]), np.ones(2), ridge=0.0, prior=5.0)
    assert b == pytest.approx([np.log(4), 0.0], abs=1e-6)
    assert best_ridge(np.column_stack([np.arange(4.0), np.ones(4)]), np.full(4, rate), np.ones(4), 1.0) in RIDGES


def world(questions=600, width=12, seed=0):
    """Questions whose success rate is a logistic function of their embedding."""
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(questions, width)).astype(np.float32)
    rate = expit(3 * embedding[:, 0] + embedding[:, 1])
    return embedding, rate, rng


def roll(rng, rate, rollouts=8):
    return 1 - rng.binomial(rollouts, rate) / rollouts


def watch(predictor, step, questions, difficulty, rollouts=8):
    differ = (difficulty > 0) & (difficulty < 1)
    predictor.observe(step, questions, difficulty, np.full(len(questions), rollouts), differ)


def test_it_generalises_to_questions_that_were_never_rolled_out():
    embedding, rate, rng = world()
    predictor = OnlinePredictor(embedding, half_life=8.0)
    seen = rng.choice(600, 200, replace=False)
    difficulty = roll(rng, rate[seen])
    watch(predictor, 1, seen, difficulty)
    predicted, held_out = predictor.predict(1, seen, difficulty)
    others = np.setdiff1d(np.arange(600), seen)
    assert predicted.dtype == np.float32 and ((predicted >= 0) & (predicted <= 1)).all()
    assert np.corrcoef(predicted[others], 1 - rate[others])[0, 1] > 0.9
    # The held-out figure for the references tells the same about questions not seen.
    assert np.corrcoef(held_out, 1 - rate[seen])[0, 1] == pytest.approx(
        np.corrcoef(predicted[others], 1 - rate[others])[0, 1], abs=0.05
    )


def test_held_out_predictions_do_not_see_their_own_outcome():
    embedding, rate, rng = world()
    references = np.arange(40)
    difficulty = roll(rng, rate[references])
    found = []
    for first in (0.0, 1.0):
        predictor = OnlinePredictor(embedding, half_life=8.0)
        difficulty[0] = first
        watch(predictor, 1, references, difficulty)
        found.append(predictor.predict(1, references, difficulty))
    (low, low_held_out), (high, high_held_out) = found
    assert high[0] > low[0] + 0.2
    assert high_held_out[0] == pytest.approx(low_held_out[0], abs=1e-6)


def test_a_questions_own_past_counts_beyond_its_kind():
    # All embeddings alike: nothing but the own record can tell questions apart. Question 3 always failed, the others
    # succeeded half the time: 8 rollouts of its own against a prior of 8 pull it half way from about .55 to 1.
    predictor = OnlinePredictor(np.ones((10, 4), np.float32), half_life=8.0)
    difficulty = np.full(10, 0.5)
    difficulty[3] = 1.0
    watch(predictor, 1, np.arange(10), difficulty)
    predicted, _ = predictor.predict(1, np.arange(2), difficulty[:2])
    level = predicted[np.arange(10) != 3].mean()
    assert predicted[3] - level == pytest.approx(0.5 * 8 / 16, abs=0.01)


# Success rates at steps 0, 4, 8. Of .2, .4, .6 the logits are nearly a line (-1.39, -.41, .41), which goes on to the
# fitted value at step 8 and beyond: at a step 12 of which nothing was seen yet about 1.3, or a rate of .79.
@pytest.mark.parametrize(
    ("rates", "step", "expected", "within"),
    [((0.2, 0.4, 0.6), 8, 0.6, 0.02), ((0.2, 0.4, 0.6), 12, 0.79, 0.03), ((0.7, 0.7, 0.7), 20, 0.7, 1e-3)],
)
def test_progress_is_extrapolated_where_there_is_any(rates, step, expected, within):
    predictor = OnlinePredictor(np.ones((400, 2), np.float32), half_life=8.0)
    for seen, rate in zip((0, 4, 8), rates, strict=True):
        watch(predictor, seen, np.arange(100), np.full(100, 1 - rate), rollouts=1000)
    assert predictor.predict(step, np.arange(4), np.zeros(4))[0][300] == pytest.approx(1 - expected, abs=within)


def test_old_observations_fade():
    predictor = OnlinePredictor(np.ones((400, 2), np.float32), half_life=8.0)
    watch(predictor, 0, np.arange(100), np.ones(100))
    watch(predictor, 8, np.arange(100, 200), np.zeros(100))
    assert len(predictor.state_dict()["observed"]["step"]) == 200
    # Far in the future nothing is left of them.
    watch(predictor, 80, np.arange(200, 210), np.full(10, 0.25))
    assert len(predictor.state_dict()["observed"]["step"]) == 10


def test_the_newest_observations_are_kept_and_all_of_a_step():
    predictor = OnlinePredictor(np.ones((20_000, 2), np.float32), half_life=8.0)
    for step, count in enumerate((5000, 5000, 10_000)):
        watch(predictor, step, np.arange(count), np.ones(count))
        steps, counts = np.unique(predictor.state_dict()["observed"]["step"], return_counts=True)
        wanted = ({0: 5000}, {0: MOST_OBSERVED - 5000, 1: 5000}, {2: 10_000})[step]
        assert dict(zip(steps.tolist(), counts.tolist(), strict=True)) == wanted


def test_progress_of_the_policy_moves_what_was_observed_before():
    # Question 0 failed at step 0 where all others of its kind did: that is no sign that it fails now.
    embedding, _, _ = world(width=3)
    predictor = OnlinePredictor(embedding, half_life=4.0)
    watch(predictor, 0, np.arange(100), np.ones(100))
    predictor.predict(0, np.arange(4), np.ones(4))
    watch(predictor, 8, np.arange(100, 300), np.zeros(200))
    predicted, _ = predictor.predict(8, np.arange(100, 104), np.zeros(4))
    assert predicted[:100] == pytest.approx(predicted[300:400].mean(), abs=0.1)


def test_the_first_round_has_little_to_say_and_nothing_is_an_error():
    embedding, _, _ = world(questions=20)
    predictor = OnlinePredictor(embedding, half_life=8.0)
    with pytest.raises(ValueError, match="nothing was observed yet"):
        predictor.predict(0, np.arange(2), np.zeros(2))
    watch(predictor, 1, np.arange(2), np.ones(2))
    predicted, held_out = predictor.predict(1, np.arange(2), np.ones(2))
    assert np.isfinite(predicted).all() and np.isfinite(held_out).all()


def test_held_out_predictions_without_anything_else_are_the_middle():
    predictor = OnlinePredictor(np.eye(4, dtype=np.float32), half_life=8.0)
    watch(predictor, 1, np.array([2]), np.ones(1))
    assert predictor.predict(1, np.array([2]), np.ones(1))[1].tolist() == [0.5]


def test_a_restored_predictor_predicts_the_same_bit_for_bit(tmp_path):
    embedding, rate, rng = world()
    predictor = OnlinePredictor(embedding, half_life=8.0)
    for step in range(3):
        chosen = rng.choice(600, 30, replace=False)
        watch(predictor, step, chosen, roll(rng, rate[chosen]))
    save_state(tmp_path / "state", "predictor", predictor.state_dict())
    restored = OnlinePredictor(embedding, half_life=8.0)
    restored.load_state_dict(load_state(tmp_path / "state", "predictor"))
    for left, right in zip(
        predictor.predict(3, chosen, rate[chosen]), restored.predict(3, chosen, rate[chosen]), strict=True
    ):
        assert np.array_equal(left, right)
    with refused("dots.difficulty.half_life", "other run", "8.0", "4.0"):
        OnlinePredictor(embedding, half_life=4.0).load_state_dict(predictor.state_dict())


def test_a_difficulty_known_beforehand_tells_what_the_embedding_does_not():
    rng = np.random.default_rng(0)
    level = rng.integers(1, 9, 600)
    rate = expit(4.5 - level)
    embedding = rng.normal(size=(600, 32)).astype(np.float32)
    found = {}
    for name, known in (("embedding", None), ("field", level.astype(float))):
        seen = online_inputs(embedding, None, None, known)
        predictor = OnlinePredictor(seen, half_life=8.0, behind=[] if known is None else [2])
        chosen = np.arange(64)
        watch(predictor, 1, chosen, roll(np.random.default_rng(1), rate[chosen]))
        predicted, _ = predictor.predict(1, chosen, 1 - rate[chosen])
        found[name] = np.corrcoef(predicted[64:], 1 - rate[64:])[0, 1]
    assert found["embedding"] < 0.2 and found["field"] > 0.95


def test_the_penalty_follows_what_the_embedding_says():
    """Nothing to learn, or too few rows to tell: the greatest. Much to learn: the least."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(300, 40)) / 40**0.5, np.ones(300)])
    noise = (rng.binomial(8, 0.5, 300) + 0.5) / 9
    weight = np.full(300, 8.0)
    assert best_ridge(x, noise, weight) == max(RIDGES) == best_ridge(x[:3], noise[:3], weight[:3])
    rate = expit(30 * x[:, 0])
    clear = (rng.binomial(8, rate) + 0.5) / 9
    assert best_ridge(x, clear, weight) == min(RIDGES)


def test_the_share_that_a_difficulty_implies_is_an_inverted_u_with_ends():
    # 8 tries at 1/2 differ with 254/256: logit ln 127. At rates of 1e-9 and 1 - 1e-9: that of 1/1000.
    found = implied(np.array([0.0, -20.7, 20.7]), 8)
    assert found == pytest.approx([np.log(127), -np.log(999), -np.log(999)])
    # 64 tries at 1/2 all but always differ: the other end.
    assert implied(np.zeros(1), 64) == pytest.approx([np.log(999)])


def test_effectiveness_is_an_inverted_u_of_a_difficulty_that_is_a_line_in_the_embedding():
    embedding, rate, rng = world(questions=2000)
    predictor, seen, rest = OnlinePredictor(embedding, half_life=8.0), np.arange(300), np.arange(300, 2000)
    difficulty = roll(rng, rate[seen])
    watch(predictor, 1, seen, difficulty)
    found, true = predictor.effectiveness(1, seen, difficulty, 8)[rest], effective_share(rate[rest], 8)
    assert np.corrcoef(found, true)[0, 1] > 0.85
    assert found.mean() == pytest.approx(true.mean(), abs=0.06)
    # Drawn: 0.97. The 300 best have 0.98, and all 0.55.
    assert true[select(found, 300, 1.0, 0.05, rng)].mean() > true.mean() + 0.3


def test_effectiveness_keeps_its_contrast_where_selected_groups_alone_are_observed():
    embedding, rate, rng = world(questions=2000)
    true, predictor = effective_share(rate, 8), OnlinePredictor(embedding, half_life=2.0)
    chosen = rng.choice(2000, 64, replace=False)
    for step in range(24):
        difficulty = roll(rng, rate[chosen])
        watch(predictor, step, chosen, difficulty)
        predictor.predict(step, chosen, difficulty)
        found = predictor.effectiveness(step, chosen, difficulty, 8)
        chosen = select(found, 64, 1.0, 0.05, rng)
        if step >= 18:  # the first ones, drawn uniformly, are forgotten
            assert 0 not in predictor.state_dict()["observed"]["step"]
            assert found[chosen].mean() > found.mean() + 0.2 and true[chosen].mean() > true.mean() + 0.2


def test_what_a_difficulty_implies_for_a_group_does_not_see_its_own_outcome():
    embedding, rate, rng = world()
    difficulty, found = roll(rng, rate[:40]), []
    for first in (0.0, 1.0):
        difficulty[0] = first
        predictor = OnlinePredictor(embedding, half_life=8.0)
        for step in (1, 2):  # nor that of an earlier group of the question
            watch(predictor, step, np.arange(40), difficulty)
        found.append(predictor._left_out_logits(2, predictor._fit(2, predictor._all)._replace(ridge=4.0)))
    low, high = found
    assert high[[0, 40]] == pytest.approx(low[[0, 40]], abs=1e-5) and np.abs(high - low).max() > 0.01


def test_effectiveness_tells_what_is_always_or_never_solved_from_what_is_solved_half_of_the_time():
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(600, 6)).astype(np.float32)
    decided = embedding[:, 0] > 0
    rate = np.where(decided, rng.integers(0, 2, 600), 0.5)
    predictor = OnlinePredictor(embedding, half_life=8.0)
    with pytest.raises(ValueError, match="nothing was observed yet"):
        predictor.effectiveness(1, np.arange(2), np.zeros(2), 8)
    seen = np.arange(300)
    difficulty = roll(rng, rate[seen])
    watch(predictor, 1, seen, difficulty)
    predicted = predictor.predict(1, seen, difficulty)[0]
    found = predictor.effectiveness(1, seen, difficulty, 8)
    assert found.dtype == np.float32 and ((found >= 0) & (found <= 1)).all()
    rest = np.arange(600) >= 300
    assert found[rest & ~decided].mean() > 0.7 and found[rest & decided].mean() < 0.3
    assert abs(predicted[rest & ~decided].mean() - predicted[rest & decided].mean()) < 0.15
    # What was seen of a question itself counts as well.
    assert found[seen][decided[seen]].mean() < found[rest & decided].mean()


@pytest.mark.parametrize(
    ("groups", "effective", "expected"),
    [(1000, 900, 900.5 / 1001), (9, 9, 9.5 / 10), (9, 0, 0.5 / 10), (1, 1, 1.5 / 2)],
)
def test_the_expected_share_is_that_of_the_groups_whatever_it_is(groups, effective, expected):
    """Of questions that nothing can tell apart; half a group of one more, effective and not, is all that is added."""
    predictor = OnlinePredictor(np.ones((groups + 1, 4), np.float32), half_life=8.0)
    differ = np.arange(groups) < effective
    predictor.observe(1, np.arange(groups), np.where(differ, 0.5, 1.0), np.full(groups, 8), differ)
    found = predictor.effectiveness(1, np.arange(0), np.zeros(0), 8)
    assert found[-1] == pytest.approx(expected, abs=1e-5)  # of a question that was not rolled out


def test_the_predicted_difficulty_is_nearer_to_one_half_by_half_a_success_and_half_a_failure():
    # As the module says: 8 failures are a rate of 0.5 / 9, and a difficulty of 8.5 / 9.
    for always, expected in ((1.0, 8.5 / 9), (0.5, 0.5)):
        predictor = OnlinePredictor(np.ones((101, 4), np.float32), half_life=8.0)
        watch(predictor, 1, np.arange(100), np.full(100, always))
        assert predictor.predict(1, np.arange(4), np.full(4, always))[0][-1] == pytest.approx(expected, abs=1e-5)


def test_groups_of_equal_rewards_are_not_effective_whatever_the_reward_is():
    """Half of the questions get 0.5 each time, the others 0 or 1 by chance: of these alone the groups are effective."""
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(600, 6)).astype(np.float32)
    equal, seen = embedding[:, 0] > 0, np.arange(300)
    predictor = OnlinePredictor(embedding, half_life=8.0)
    difficulty = np.where(equal[seen], 0.5, roll(rng, np.full(300, 0.5)))
    predictor.observe(1, seen, difficulty, np.full(300, 8), ~equal[seen])
    predictor.predict(1, seen, difficulty)
    found, rest = predictor.effectiveness(1, seen, difficulty, 8), np.arange(600) >= 300
    assert found[rest & equal].mean() < 0.3 and found[rest & ~equal].mean() > 0.7


def test_a_restored_predictor_expects_the_same_effectiveness_bit_for_bit(tmp_path):
    embedding, rate, rng = world()
    predictor, restored = (OnlinePredictor(embedding, half_life=8.0) for _ in range(2))
    for step in range(3):
        chosen = rng.choice(600, 30, replace=False)
        watch(predictor, step, chosen, roll(rng, rate[chosen]))
        predictor.predict(step, chosen, rate[chosen])
    save_state(tmp_path / "state", "predictor", predictor.state_dict())
    restored.load_state_dict(load_state(tmp_path / "state", "predictor"))
    both = [one.effectiveness(3, chosen, rate[chosen], 8) for one in (predictor, restored)]
    assert np.array_equal(*both)
