import numpy as np
import pytest

from verl_dots.methods.e3.budget_rule import allocate, caps, ranks
from verl_dots.methods.e3.budget_state import RolloutBudget


def test_ranks_by_hand():
    # Rewards 1, .5, .5, 0: ranks 1, 2.5, 2.5, 4 of 4, less one half.
    assert ranks(np.array([0.5, 1.0, 0.0, 0.5])).tolist() == [0.5, 0.125, 0.875, 0.5]
    assert ranks(np.array([np.nan, 1.0, 0.0])).tolist() == [0.5, 0.25, 0.75]
    assert ranks(np.full(3, np.nan)).tolist() == [0.5] * 3


def test_caps_widen_as_in_the_paper():
    assert [caps(epoch, 8, (4, 12)) for epoch in range(4)] == [(8, 8), (6, 10), (4, 12), (4, 12)]
    assert caps(5, 8, (7, 20), step=3) == (7, 20)
    assert caps(0, 8, (4, 12), step=None) == (4, 12)


def test_an_allocation_by_hand():
    # 32 rollouts, 4 each first; 16 in proportion 1:2:3:4 are 1.6, 3.2, 4.8, 6.4, so 1, 3, 4, 6; two are left, and one
    # each goes to the two hardest.
    assert allocate(np.array([1, 2, 3, 4]), 8, 4, 20).tolist() == [5, 7, 9, 11]
    # At most 10: the hardest is full after the first deal. The 2 left among ranks 1, 2 and 3 are 1/3, 2/3 and 1, so one
    # for rank 3, and the last goes to it too.
    assert allocate(np.array([1, 2, 3, 4]), 8, 4, 10).tolist() == [5, 7, 10, 10]
    assert allocate(np.full(6, 0.5), 8, 4, 12).tolist() == [8] * 6


def test_the_total_and_the_caps_hold_whatever_the_ranks():
    rng = np.random.default_rng(0)
    for _ in range(400):
        B, n = int(rng.integers(1, 40)), int(rng.integers(1, 17))
        least, most = int(rng.integers(0, n + 1)), int(rng.integers(n, 4 * n + 1))
        rank_B = rng.exponential(size=B) ** rng.integers(1, 6) + 1e-9
        rollouts = allocate(rank_B, n, least, most)
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
    # Ranks 1/8, 3/8, 5/8, 7/8; 6 each, 8 to deal: 0.5, 1.5, 2.5, 3.5 floored, then one each to the hardest.
    assert budget.allocate(np.arange(4)).tolist() == [6, 7, 9, 10]
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
