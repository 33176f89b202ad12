import numpy as np
import pytest
import torch

from verl_dots.algorithms.off_policy import (
    behaviour_weights,
    effective_sample_size,
    group_advantages,
    ratio,
    ratio_statistics,
)


def test_advantages_by_hand():
    reward, group = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 7.0]), torch.tensor([0, 1, 0, 1, 0, 2])
    third = 1 / 3
    mean_only = group_advantages(reward, group, by_std=False)
    torch.testing.assert_close(mean_only, torch.tensor([third, 0.0, third, 0.0, -2 * third, 0.0]))
    # Of (1, 1, 0): standard deviation sqrt(1/3), with n - 1.
    scaled = group_advantages(reward, group, by_std=True)
    torch.testing.assert_close(scaled[[0, 2, 4]], torch.tensor([1.0, 1.0, -2.0]) / 3 * 3**0.5, atol=1e-5, rtol=0)
    assert scaled[5] == 0  # verl's GRPO gives a group of one its reward, 7


@pytest.mark.parametrize("by_std", [True, False])
def test_groups_of_several_are_verls_to_the_last_bit(by_std):
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

    generator = torch.Generator().manual_seed(0)
    group = torch.arange(40).repeat_interleave(7)[torch.randperm(280, generator=generator)]
    reward = torch.rand(280, generator=generator)
    token_rewards = torch.zeros(280, 5)
    token_rewards[:, -1] = reward
    verls, _ = compute_grpo_outcome_advantage(
        token_rewards, torch.ones(280, 5), np.array(group.tolist()), norm_adv_by_std_in_grpo=by_std
    )
    assert torch.equal(group_advantages(reward, group, by_std), verls[:, 0])


def test_no_rollouts_have_no_advantages():
    assert group_advantages(torch.empty(0), torch.empty(0, dtype=torch.int64), True).shape == (0,)


def test_weights_are_1_for_one_policy_and_are_truncated():
    log_prob = torch.tensor([[-0.1, -3.0]])
    assert behaviour_weights(log_prob, log_prob).tolist() == [[1.0, 1.0]]
    proximal, behaviour = torch.log(torch.tensor([[0.5, 0.2]])), torch.log(torch.tensor([[0.1, 0.4]]))
    torch.testing.assert_close(behaviour_weights(proximal, behaviour), torch.tensor([[5.0, 0.5]]))
    torch.testing.assert_close(behaviour_weights(proximal, behaviour, 2.0), torch.tensor([[2.0, 0.5]]))
    assert torch.isfinite(ratio(torch.tensor([0.0]), torch.tensor([-500.0]))).all()
    with pytest.raises(ValueError, match="truncation=0.0: must be above 0"):
        behaviour_weights(proximal, behaviour, 0.0)


def test_effective_sample_size_by_hand():
    mask = torch.tensor([[1, 1, 1, 0]])
    assert effective_sample_size(torch.tensor([[2.0, 2.0, 2.0, 9.0]]), mask) == 1.0
    assert effective_sample_size(torch.tensor([[3.0, 0.0, 0.0, 9.0]]), mask) == pytest.approx(1 / 3)
    assert np.isnan(effective_sample_size(torch.ones(1, 4), torch.zeros(1, 4)))


def test_ratio_statistics_by_hand():
    newer, older = torch.log(torch.tensor([[0.5, 0.3, 0.9]])), torch.log(torch.tensor([[0.4, 0.3, 0.1]]))
    found = ratio_statistics(newer, older, torch.tensor([[1, 1, 0]]), (0.2, 0.2))
    assert found == pytest.approx({
        "ratio/mean": 1.125, "ratio/max": 1.25, "ratio/clipped": 0.5, "ratio/log_difference": np.log(1.25) / 2,
    }, rel=1e-5)  # fmt: skip
    assert ratio_statistics(newer, older, torch.zeros(1, 3), (0.2, 0.2)) == {}
