import numpy as np

from verl_dots.methods.e3.budget_state import RolloutBudget


def one_epoch(budget, reward_P):
    questions = np.arange(len(reward_P))
    budget.observe(questions, np.asarray(reward_P, float), np.full(len(reward_P), budget.n))


def test_all_get_n_until_something_is_known():
    budget = RolloutBudget(6, 8, (4, 12))
    assert budget.caps == (8, 8) and budget.allocate(np.array([3, 1])).tolist() == [8, 8]
    budget.observe(np.array([0, 1]), np.array([0.0, 1.0]), np.array([8, 8]))  # a third of an epoch
    assert budget.epoch == 0 and budget.allocate(np.array([0, 1])).tolist() == [8, 8]


def test_hard_questions_get_more_and_the_caps_widen_with_the_epochs():
    budget = RolloutBudget(4, 8, (4, 12))
    one_epoch(budget, [1.0, 0.75, 0.5, 0.0])
    assert budget.caps == (6, 10)
    # Ranks 1/8, 3/8, 5/8, 7/8; 6 each, 8 to deal: 0.5, 1.5, 2.5, 3.5 floored, then one each from the hardest.
    assert budget.allocate(np.arange(4)).tolist() == [6, 7, 9, 10]
    assert budget.allocate(np.array([3, 0])).tolist() == [10, 6]
    one_epoch(budget, [1.0, 0.75, 0.5, 0.0])
    one_epoch(budget, [1.0, 0.75, 0.5, 0.0])
    assert budget.caps == (4, 12) and budget.epoch == 3


def test_rewards_accumulate_over_all_rollouts_and_ranks_wait_for_the_next_epoch():
    budget = RolloutBudget(2, 4, (2, 6))
    one_epoch(budget, [0.0, 1.0])
    assert budget.allocate(np.arange(2)).tolist() == [5, 3]
    budget.observe(np.array([0]), np.array([1.0]), np.array([6]))
    assert budget.allocate(np.arange(2)).tolist() == [5, 3]
    budget.observe(np.array([1]), np.array([0.0]), np.array([8]))  # 6 of 10 right against 4 of 12
    assert budget.allocate(np.arange(2)).tolist() == [3, 5]
