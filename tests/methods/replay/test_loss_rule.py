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
def test_equal_rewards_have_no_advantage_whatever_their_mean_rounds_to(by_std):
    """The mean of eight times 0.7 in single precision is another number; over next to nothing it would be 0.06."""
    for count in range(2, 17):
        reward = torch.full((count,), 0.7)
        assert group_advantages(reward, torch.zeros(count, dtype=torch.int64), by_std).tolist() == [0.0] * count


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


def test_clipped_are_ratios_further_in_the_direction_of_the_advantage():
    ratio_NT, advantage_NT = torch.tensor([2.0, 2.0, 0.1, 0.1, 0.75]), torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])
    assert is_clipped(ratio_NT, advantage_NT, (0.3, 0.2)).tolist() == [True, False, False, True, False]


def test_the_dual_clip_takes_the_gradient_of_great_ratios_at_negative_advantages():
    ratio_NT, advantage = torch.tensor([3.5, 2.5, 3.5]), torch.tensor([-1.0, -1.0, 1.0])
    assert is_clipped(ratio_NT, advantage, (0.2, 9.0), dual=3.0).tolist() == [True, False, False]
