import numpy as np
import pytest

from verl_dots.methods.e3.budget_rule import allocate, caps, ranks
from verl_dots.methods.e3.budget_state import RolloutBudget
from verl_dots.methods.e3.settings import REMAINDERS


def test_ranks_by_hand():
    # Rewards 1, .5, .5, 0: ranks 1, 2.5, 2.5, 4 of 4, less one half.
    assert ranks(np.array([0.5, 1.0, 0.0, 0.5])).tolist() == [0.5, 0.125, 0.875, 0.5]
    assert ranks(np.array([np.nan, 1.0, 0.0])).tolist() == [0.5, 0.25, 0.75]
    assert ranks(np.full(3, np.nan)).tolist() == [0.5] * 3
    assert 0.1 + 0.2 != 0.3, "of two questions with equal sums of rewards"
    assert ranks(np.array([0.1 + 0.2, 0.3])).tolist() == [0.5, 0.5]


def test_caps_widen_as_in_the_paper():
    assert [caps(epoch, 8, (4, 12)) for epoch in range(4)] == [(8, 8), (6, 10), (4, 12), (4, 12)]
    assert caps(5, 8, (7, 20), step=3) == (7, 20)
    assert caps(0, 8, (4, 12), step=None) == (4, 12)


def test_what_the_shares_leave_fills_the_hardest_first():
    # 32 rollouts, 4 each first; 16 in proportion 1:2:3:4 are 1.6, 3.2, 4.8, 6.4, so 1, 3, 4, 6; two are left, and the
    # hardest has room for both.
    assert allocate(np.array([1, 2, 3, 4]), 8, 4, 20).tolist() == [5, 7, 8, 12]
    # Room for one of the two: the other goes to the next.
    assert allocate(np.array([1, 2, 3, 4]), 8, 4, 11).tolist() == [5, 7, 9, 11]
    # A share of 13 is cut to 8, where the paper's code would give 17 rollouts; the first of the others gets the five.
    assert allocate(np.array([1, 1, 1, 13]), 8, 4, 12).tolist() == [10, 5, 5, 12]


def test_what_the_shares_leave_is_spread():
    # As above: of the two that are left, one each goes to the two hardest.
    assert allocate(np.array([1, 2, 3, 4]), 8, 4, 20, "spread").tolist() == [5, 7, 9, 11]
    # At most 10: the hardest is full after the first deal. The 2 left among ranks 1, 2 and 3 are 1/3, 2/3 and 1, so one
    # for rank 3, and the last goes to it too.
    assert allocate(np.array([1, 2, 3, 4]), 8, 4, 10, "spread").tolist() == [5, 7, 10, 10]
    # A share of 13 is cut to 8; of the five left the others get 1 each, and then two of them one more.
    assert allocate(np.array([1, 1, 1, 13]), 8, 4, 12, "spread").tolist() == [7, 7, 6, 12]


@pytest.mark.parametrize("remainder", REMAINDERS)
@pytest.mark.parametrize("rank", [0.5, 0.3, 1e-3])
def test_questions_of_equal_rank_get_the_same_whatever_the_rounding(rank, remainder):
    for B in range(1, 50):
        assert allocate(np.full(B, rank), 8, 4, 12, remainder).tolist() == [8] * B


# The paper's batch: ranks k of a large data set are uniform, so shares are floor(4 k / mean k), 0 to 7 for an eighth of
# the questions each. About 32 rollouts are left. They fill the 8 questions with a share of 7, the 8 with one of 6, and
# 2 or 3 with one of 5; more or fewer as the mean of the batch is not 1/2.
@pytest.mark.parametrize(("remainder", "expected"), [("hardest", 18.2), ("spread", 7.9)])
def test_how_many_questions_of_a_batch_reach_the_cap(remainder, expected):
    rng = np.random.default_rng(0)
    full = [(allocate(1 - rng.random(64), 8, 4, 12, remainder) == 12).sum() for _ in range(2000)]
    assert np.mean(full) == pytest.approx(expected, abs=0.3)  # three standard errors are 0.15 and 0.26


@pytest.mark.parametrize("remainder", REMAINDERS)
def test_the_total_and_the_caps_hold_whatever_the_ranks(remainder):
    rng = np.random.default_rng(0)
    for _ in range(400):
        B, n = int(rng.integers(1, 40)), int(rng.integers(1, 17))
        least, most = int(rng.integers(0, n + 1)), int(rng.integers(n, 4 * n + 1))
        rank_B = rng.exponential(size=B) ** rng.integers(1, 6) + 1e-9
        rollouts = allocate(rank_B, n, least, most, remainder)
        assert rollouts.sum() == n * B and rollouts.min() >= least and rollouts.max() <= most
        by_rank = rollouts[np.argsort(rank_B)]
        assert (np.diff(by_rank) >= 0).all()  # never fewer for a harder question


@pytest.mark.parametrize("least, most", [(9, 12), (4, 7), (-1, 12)])
def test_caps_that_do_not_allow_the_total(least, most):
    with pytest.raises(ValueError, match=rf"n \* B = 32 rollouts are outside what {least} to {most}"):
        allocate(np.ones(4), 8, least, most)


def test_ranks_must_be_above_0():
    with pytest.raises(ValueError, match="ranks must be above 0 and finite"):
        allocate(np.array([1.0, 0.0]), 8, 4, 12)


def one_epoch(budget, reward_P):
    questions = np.arange(len(reward_P))
    budget.observe(questions, np.asarray(reward_P, float), np.full(len(reward_P), budget.n))


def test_hard_questions_get_more_and_the_caps_widen_with_the_epochs():
    budget = RolloutBudget(4, 8, (4, 12))
    one_epoch(budget, [1.0, 0.75, 0.5, 0.0])
    assert budget.caps == (6, 10)
    # Ranks 1/8, 3/8, 5/8, 7/8; 6 each, 8 to deal: 0.5, 1.5, 2.5, 3.5 floored; two are left, one fills the hardest.
    assert budget.allocate(np.arange(4)).tolist() == [6, 7, 9, 10]
    assert budget.allocate_by(np.array([1.0, 3.0, 5.0, 7.0])).tolist() == [6, 7, 9, 10]
    assert budget.allocate(np.array([3, 0])).tolist() == [10, 6]
    one_epoch(budget, [1.0, 0.75, 0.5, 0.0])
    one_epoch(budget, [1.0, 0.75, 0.5, 0.0])
    assert budget.caps == (4, 12) and budget.epoch == 3


def test_rewards_accumulate_over_all_rollouts_and_ranks_wait_for_the_next_epoch():
    budget = RolloutBudget(2, 4, (2, 6))
    assert budget.caps == (4, 4)
    one_epoch(budget, [0.0, 1.0])
    assert budget.allocate(np.arange(2)).tolist() == [5, 3]
    budget.observe(np.array([0]), np.array([1.0]), np.array([6]))
    assert budget.allocate(np.arange(2)).tolist() == [5, 3]
    budget.observe(np.array([1]), np.array([0.0]), np.array([8]))  # 6 of 10 right against 4 of 12
    assert budget.allocate(np.arange(2)).tolist() == [3, 5]
