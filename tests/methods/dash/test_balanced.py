"""As many rows of a group above its mean as below: the expected gradient by all draws, with the actor's own loss."""

from itertools import combinations

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.config import FSDPActorConfig, PolicyLossConfig

from verl_dots.launch.objective_checks import NOT_OF_V1
from verl_dots.methods.actor_loss import dots_loss
from verl_dots.methods.dash.checks import NOT_BY_ADVANTAGE, OF_ALL_ROWS
from verl_dots.methods.dash.filter_rule import balanced

G, V = 8, 5  # rollouts of a group, words of the policy
ALL_MODES = ("token-mean", "token-sum", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm")
BY_ADVANTAGE = ("vanilla", "gspo", "sapo", "gpg", "cispo", "dppo_tv", "dppo_kl", "grpo_rr", "grpo_rr_decoupled")


class Told:
    """A generator that draws the places that it is told."""

    def __init__(self, places=()):
        self.places = list(places)

    def choice(self, larger, count, replace):
        assert not replace and count == len(self.places)
        return larger[self.places]


def advantages(successes):
    """[G], not divided by their deviation: 1 - p of the right rollouts, which come first, -p of the others."""
    rate = successes / G
    return np.array([1 - rate] * successes + [-rate] * (G - successes))


def jagged(rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


def config(name="vanilla", mode="token-mean"):
    return FSDPActorConfig(
        ppo_mini_batch_size=G, ppo_micro_batch_size_per_gpu=G, rollout_n=1, clip_ratio=0.2, clip_ratio_low=0.2,
        clip_ratio_high=0.2, loss_agg_mode=mode, loss_scale_factor=10, policy_loss=PolicyLossConfig(loss_mode=name),
    )  # fmt: skip


class Policy:
    """Words by a softmax of V logits in doubles; G responses of 1 to 4 words, and an older policy that sampled them."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.logits = torch.randn(V, generator=generator, dtype=torch.float64).requires_grad_()
        self.older = torch.randn(V, generator=generator, dtype=torch.float64).log_softmax(-1)
        self.responses = [torch.randint(V, (1 + place % 4,), generator=generator) for place in range(G)]

    def gradient(self, kept_N, advantage_N, weight_N=None, name="vanilla", mode="token-mean"):
        """[V] of the loss of the rows that stay, divided by what all of them would have it divided by."""
        rows = np.flatnonzero(kept_N).tolist()
        words = [self.responses[row] for row in rows]
        log_prob_V = self.logits.log_softmax(-1)
        fields = {
            "prompts": [torch.zeros(1, dtype=torch.int64) for _ in rows],
            "responses": words,
            "input_ids": [torch.cat([torch.zeros(1, dtype=torch.int64), word_T]) for word_T in words],
            "response_mask": [torch.ones(len(word_T), dtype=torch.int64) for word_T in words],
            "old_log_probs": [self.older[word_T] for word_T in words],
            "rollout_is_weights": [torch.full((len(w),), 0.5, dtype=torch.float64) for w in words],
            "advantages": [torch.full((len(self.responses[r]),), advantage_N[r], dtype=torch.float64) for r in rows],
        }
        if name == "grpo_rr":
            del fields["rollout_is_weights"]
        data = TensorDict({field: jagged(column) for field, column in fields.items()}, batch_size=len(rows))
        data["unfiltered_tokens"] = torch.full((len(rows),), sum(map(len, self.responses)))
        longest = max(map(len, words))
        tu.assign_non_tensor(data, dp_size=1, global_batch_size=G, max_response_len=longest, max_seq_len=1 + longest)
        tu.assign_non_tensor(data, batch_num_tokens=sum(map(len, words)))
        if weight_N is not None:
            data["advantage_weight"] = torch.from_numpy(weight_N[rows])
        # verl reads a row's words from where they are predicted: a place earlier than the words.
        outputs = jagged(torch.cat([log_prob_V[word_T], log_prob_V[:1]]) for word_T in words)
        before = [row_T.clone() for row_T in data["advantages"].unbind()]
        loss, _ = dots_loss(config(name, mode), {"log_probs": outputs}, data)
        # A pass may meet the same rows again.
        assert all(map(torch.equal, before, data["advantages"].unbind()))
        return torch.autograd.grad(loss, self.logits)[0]


def draws(advantage_N):
    """(rows that stay, advantages, weights) of every draw, all as likely."""
    above = int((advantage_N > 0).sum())
    rarer, larger = sorted((above, G - above))
    places = combinations(range(larger), rarer) if rarer < larger else [()]
    found = [balanced(advantage_N, np.zeros(G, int), np.ones(G, bool), Told(each)) for each in places]
    return [(kept_N, advantage_N, weight_N) for kept_N, weight_N in found]


@pytest.mark.parametrize(
    ("successes", "mode"), [(count, ALL_MODES[0]) for count in range(1, G)] + [(5, mode) for mode in ALL_MODES[1:]]
)
def test_over_all_draws_the_gradient_is_that_of_all_rows(successes, mode):
    policy, advantage_N = Policy(), advantages(successes)
    whole = policy.gradient(np.ones(G, bool), advantage_N, mode=mode)
    found = torch.stack([policy.gradient(*draw, mode=mode) for draw in draws(advantage_N)])
    torch.testing.assert_close(found.mean(0), whole, rtol=1e-12, atol=1e-15)
    assert whole.abs().max() > 1e-3
    if successes == G // 2:
        assert len(found) == 1 and torch.equal(found[0], whole)
    else:  # a draw alone is another one
        assert (found - whole).abs().amax(1).max() > 1e-3


@pytest.mark.parametrize(
    ("successes", "rows", "more"),
    # p^2 M (M - m) / m of M wrong and m right ones: 1/64 * 7 * 6, 1/16 * 6 * 4 / 2, 9/64 * 5 * 2 / 3.
    [(1, 2, 0.65625), (2, 4, 0.75), (3, 6, 0.46875), (4, 8, 0), (5, 6, 0.46875), (6, 4, 0.75), (7, 2, 0.65625)],
)
def test_variance_of_the_draws_where_each_row_has_a_direction_of_its_own(successes, rows, more):
    advantage_N = advantages(successes)
    found = [kept_N * weight_N * advantage_N for kept_N, _, weight_N in draws(advantage_N)]
    assert {int(kept_N.sum()) for kept_N, *_ in draws(advantage_N)} == {rows}
    np.testing.assert_allclose(np.mean(found, axis=0), advantage_N, rtol=1e-12)
    assert np.mean([((one - advantage_N) ** 2).sum() for one in found]) == pytest.approx(more, rel=1e-12)


@pytest.mark.parametrize("name", BY_ADVANTAGE)
def test_losses_that_weigh_a_row_by_its_advantage(name):
    """Ratios of 0.2 to 10 here: clipped on both sides and by the dual clip."""
    policy, advantage_N = Policy(), advantages(3)
    whole = policy.gradient(np.ones(G, bool), advantage_N, name=name)
    found = [policy.gradient(*draw, name=name) for draw in draws(advantage_N)]
    assert len(found) == 10 and whole.abs().max() > 1e-3
    torch.testing.assert_close(torch.stack(found).mean(0), whole, rtol=1e-12, atol=1e-15)
    if name == "vanilla":
        words = torch.cat(policy.responses)
        ratio_n = (policy.logits.detach().log_softmax(-1) - policy.older).exp()[words]
        assert ratio_n.min() < 0.8 and ratio_n.max() > 3


def test_every_loss_of_verl_is_known_to_go_with_balanced_rows_or_not():
    from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

    assert {*BY_ADVANTAGE, *OF_ALL_ROWS, *NOT_BY_ADVANTAGE, *NOT_OF_V1} == set(POLICY_LOSS_REGISTRY)


def test_rows_and_weights_by_hand():
    # A group of two above and four below its mean, one of which is below the threshold; and one of equal sides.
    advantage_N = np.array([0.6, 0.6, -0.3, -0.3, -0.3, -0.05, 0.5, -0.5, 0.0])
    group_N = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    may_N = np.array([True] * 5 + [False] + [True] * 3)
    kept_N, weight_N = balanced(advantage_N, group_N, may_N, Told([0, 2]))
    assert np.flatnonzero(kept_N).tolist() == [0, 1, 2, 4, 6, 7, 8]
    assert weight_N.tolist() == [1, 1, 1.5, 1, 1.5, 1, 1, 1, 1]
    assert may_N.sum() == 8  # what was given is as it was


def test_a_group_with_one_side_alone_and_rewards_of_many_values():
    one_side = np.array([0.2, 0.3, 0.0])
    kept_N, weight_N = balanced(one_side, np.zeros(3, int), np.ones(3, bool), Told())
    assert kept_N.all() and (weight_N == 1).all()
    # Rewards 0, 0.1, 0.2, 0.9: the last alone is above the mean of 0.3.
    kept_N, weight_N = balanced(np.array([-0.3, -0.2, -0.1, 0.6]), np.zeros(4, int), np.ones(4, bool), Told([1]))
    assert kept_N.tolist() == [False, True, False, True] and weight_N.tolist() == [1, 3, 1, 1]


def test_each_row_of_the_larger_side_is_drawn_as_often():
    rng, advantage_N = np.random.default_rng(1), advantages(2)
    drawn_N = sum(balanced(advantage_N, np.zeros(G, int), np.ones(G, bool), rng)[0] for _ in range(3000))
    # 1 in 3: 1000 each, with a standard deviation of 26.
    assert drawn_N[:2].tolist() == [3000] * 2 and np.abs(drawn_N[2:] - 1000).max() < 110
    assert drawn_N.sum() == 4 * 3000
