import numpy as np
import pytest
import torch

from verl_dots.methods.replay.loss_rule import (
    behaviour_weights,
    group_advantages,
    is_clipped,
    ratio,
    ratio_figures,
    ratio_sums,
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
    with pytest.raises(ValueError, match="truncation=0.0"):
        behaviour_weights(proximal, behaviour, 0.0)


def test_ratio_figures_by_hand():
    ratio_NT = torch.tensor([[2.0, 0.5, 9.0], [1.0, 9.0, 9.0]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    clipped = torch.tensor([[True, False, True], [False, True, True]])
    sums, largest = ratio_sums(ratio_NT, clipped, mask)
    assert largest == 2.0
    assert ratio_figures(sums) == pytest.approx({
        "ratio/mean": 3.5 / 3, "ratio/log_difference": 2 * np.log(2) / 3, "clip_share": 1 / 3,
        "effective_sample_size": 3.5**2 / (3 * 5.25),
    })  # fmt: skip


def test_sums_of_parts_add_up_to_those_of_the_whole():
    generator = torch.Generator().manual_seed(0)
    ratio_NT = torch.rand(6, 9, generator=generator) + 0.1
    mask, clipped = (torch.rand(2, 6, 9, generator=generator) > 0.4).unbind()
    parts = [ratio_sums(ratio_NT[part], clipped[part], mask[part])[0] for part in (slice(0, 2), slice(2, 6))]
    whole, _ = ratio_sums(ratio_NT, clipped, mask)
    assert {name: parts[0][name] + parts[1][name] for name in whole} == pytest.approx(whole)


def test_no_tokens_have_no_figures_and_equal_ratios_count_fully():
    nothing, largest = ratio_sums(torch.ones(2, 3), torch.zeros(2, 3, dtype=bool), torch.zeros(2, 3))
    assert ratio_figures(nothing) == {} and largest == 0
    equal, _ = ratio_sums(torch.full((2, 3), 1.5), torch.zeros(2, 3, dtype=bool), torch.ones(2, 3))
    assert ratio_figures(equal)["effective_sample_size"] == pytest.approx(1)


def test_clipped_is_what_verl_counts_as_clipped():
    from verl.trainer.ppo.core_algos import compute_policy_loss_vanilla
    from verl.workers.config import FSDPActorConfig

    generator = torch.Generator().manual_seed(0)
    ratio_NT = torch.rand(5, 7, generator=generator) * 2
    advantage = torch.randn(5, 7, generator=generator)
    config = FSDPActorConfig(
        clip_ratio_low=0.2, clip_ratio_high=0.3, ppo_mini_batch_size=1, ppo_micro_batch_size_per_gpu=1, rollout_n=1
    )
    _, metrics = compute_policy_loss_vanilla(
        torch.zeros(5, 7), ratio_NT.log(), advantage, torch.ones(5, 7), config=config
    )
    share = is_clipped(ratio_NT, advantage, (0.2, 0.3)).float().mean()
    assert metrics["actor/pg_clipfrac"] == pytest.approx(float(share))
    by_hand = is_clipped(torch.tensor([2.0, 2.0, 0.1, 0.1]), torch.tensor([1.0, -1.0, 1.0, -1.0]), (0.2, 0.2))
    assert by_hand.tolist() == [True, False, False, True]


def test_the_dual_clip_takes_the_gradient_of_great_ratios_at_negative_advantages():
    ratio_NT, advantage = torch.tensor([3.5, 2.5, 3.5]), torch.tensor([-1.0, -1.0, 1.0])
    assert is_clipped(ratio_NT, advantage, (0.2, 9.0), dual=3.0).tolist() == [True, False, False]
