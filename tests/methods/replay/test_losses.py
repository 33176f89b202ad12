"""GRPO-RR's losses and advantages against verl's own, by value and by gradient, and against hand-computed ones."""

from functools import partial

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from verl.trainer.ppo.core_algos import (
    POLICY_LOSS_REGISTRY,
    compute_grpo_outcome_advantage,
    get_adv_estimator_fn,
    get_policy_loss_fn,
)
from verl.utils import tensordict_utils as tu
from verl.utils.metric import Metric
from verl.workers.config import FSDPActorConfig, PolicyLossConfig
from verl.workers.utils.losses import ppo_loss

from verl_dots.launch.objective_checks import NOT_OF_V1
from verl_dots.methods.actor_loss import dots_loss
from verl_dots.methods.dash.checks import OF_ALL_ROWS
from verl_dots.methods.replay.loss_rule import is_clipped
from verl_dots.methods.replay.losses import off_policy_loss, off_policy_metrics

MODES = ("token-mean", "seq-mean-token-mean")
ALL_MODES = (*MODES, "seq-mean-token-sum", "seq-mean-token-sum-norm", "token-sum")
# Losses of verl that a batch without some of its rows goes with; see also dash/checks.py.
BY_ROW = ("vanilla", "gspo", "sapo", "gpg", "cispo", "grpo_rr")


def actor(**changes):
    return FSDPActorConfig(**{
        "ppo_mini_batch_size": 4, "ppo_micro_batch_size_per_gpu": 4, "rollout_n": 1, "clip_ratio": 0.2,
        "clip_ratio_low": 0.2, "clip_ratio_high": 0.2, **changes,
    })  # fmt: skip


def batch(rows=6, tokens=9):
    """Log-probs of the start of the step and now, advantages of both signs, a ragged mask."""
    generator = torch.Generator().manual_seed(0)
    old = -torch.rand(rows, tokens, generator=generator) * 2
    new = (old + 0.4 * torch.randn(rows, tokens, generator=generator)).requires_grad_()
    advantages = torch.randn(rows, 1, generator=generator).expand(rows, tokens)
    mask = (torch.arange(tokens) < torch.randint(1, tokens + 1, (rows, 1), generator=generator)).float()
    return old, new, advantages, mask


def loss_and_gradient(name, new, **inputs):
    loss, metrics = get_policy_loss_fn(name)(log_prob=new, config=actor(), **inputs)
    return loss.detach(), torch.autograd.grad(loss, new)[0], metrics


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["grpo_rr", "grpo_rr_decoupled"])
def test_without_replay_both_forms_are_verls_grpo_to_the_last_bit(name, mode):
    old, new, advantages, mask = batch()
    inputs = {"old_log_prob": old, "advantages": advantages, "response_mask": mask, "loss_agg_mode": mode}
    weights = {"rollout_is_weights": torch.ones_like(old)} if name == "grpo_rr_decoupled" else {}
    loss, gradient, metrics = loss_and_gradient(name, new, **inputs, **weights)
    verls_loss, verls_gradient, verls_metrics = loss_and_gradient("vanilla", new, **inputs)
    assert torch.equal(loss, verls_loss) and torch.equal(gradient, verls_gradient) and metrics == verls_metrics
    assert loss != 0 and metrics["actor/pg_clipfrac"] > 0


def test_tokens_counted_as_clipped_are_those_without_a_gradient():
    generator = torch.Generator().manual_seed(2)
    ratios = torch.rand(20, 10, generator=generator) * 5  # past the dual clip at 3, too
    new = ratios.log().requires_grad_()
    advantages = torch.randn(20, 10, generator=generator)
    inputs = {"old_log_prob": torch.zeros(20, 10), "advantages": advantages, "response_mask": torch.ones(20, 10)}
    _, gradient, _ = loss_and_gradient("grpo_rr", new, **inputs)
    assert torch.equal(is_clipped(ratios, advantages, (0.2, 0.2), dual=3.0), gradient == 0)


def test_the_papers_form_by_hand():
    # One sequence of two tokens, one of one; ratios to the behaviour policy 1.5 and 0.5, and 0.5.
    behaviour = torch.log(torch.tensor([[0.4, 0.8], [0.6, 1.0]]))
    new = torch.log(torch.tensor([[0.6, 0.4], [0.3, 1.0]]))
    advantages, mask = torch.tensor([[0.5, 0.5], [-0.25, -0.25]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    loss, _ = get_policy_loss_fn("grpo_rr")(behaviour, new, advantages, mask, "seq-mean-token-mean", actor())
    # min(1.5 A, 1.2 A) = 0.6 and min(0.5 A, 0.8 A) = 0.25 for A = 0.5; min(-.125, -.2) = -0.2 for A = -0.25.
    assert float(loss) == pytest.approx(-((0.6 + 0.25) / 2 - 0.2) / 2)


def test_the_decoupled_form_by_hand():
    proximal = torch.log(torch.tensor([[0.4, 0.8]]))
    new = torch.log(torch.tensor([[0.6, 0.4]]))
    weights, advantages = torch.tensor([[2.0, 0.5]]), torch.full((1, 2), 0.5)
    loss, _ = get_policy_loss_fn("grpo_rr_decoupled")(
        proximal, new, advantages, torch.ones(1, 2), "token-mean", actor(), weights
    )
    # Clipped around 1 before it is weighted: 2 * min(.75, .6), 0.5 * min(.25, .4)
    assert float(loss) == pytest.approx(-(2 * 0.6 + 0.5 * 0.25) / 2)


def test_weights_are_required_where_they_count_and_refused_where_they_would_count_twice():
    old, new, advantages, mask = batch()
    inputs = {"old_log_prob": old, "log_prob": new, "advantages": advantages, "response_mask": mask, "config": actor()}
    with pytest.raises(ValueError, match="takes no"):
        get_policy_loss_fn("grpo_rr")(**inputs, rollout_is_weights=torch.ones_like(old))
    with pytest.raises(ValueError, match="needs weights"):
        get_policy_loss_fn("grpo_rr_decoupled")(**inputs)


@pytest.mark.parametrize("by_std", [True, False])
def test_advantages_are_verls_to_the_last_bit(by_std):
    rewards, (*_, mask) = torch.zeros(12, 5), batch(12, 5)
    rewards[:, 0] = torch.rand(12, generator=torch.Generator().manual_seed(1))
    index = np.array([f"step1-prompt{number}" for number in (0, 2, 1, 0, 0, 2, 1, 1, 2, 1, 0, 2)], dtype=object)
    found, returns = get_adv_estimator_fn("grpo_rr")(
        token_level_rewards=rewards, response_mask=mask, config={"norm_adv_by_std_in_grpo": by_std}, index=index
    )
    verls, _ = compute_grpo_outcome_advantage(rewards.clone(), mask, index, norm_adv_by_std_in_grpo=by_std)
    assert torch.equal(found, verls) and torch.equal(found, returns) and not mask.all()


def jagged(rows):
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)


def rows_of_two_ages(behaviour=None):
    """A micro-batch as verl's engine hands it to the loss: two fresh rows and one of two steps ago, prompts of 2."""
    lengths = [3, 2, 4]
    ratios = [[1.0, 1.0, 1.0], [1.3, 1.0], [2.0, 0.5, 1.0, 1.0]]
    old = [torch.full((length,), -1.0) for length in lengths]
    data = TensorDict({
        "prompts": jagged([torch.ones(2, dtype=torch.int64)] * 3),
        "responses": jagged([torch.ones(length, dtype=torch.int64) for length in lengths]),
        "input_ids": jagged([torch.ones(2 + length, dtype=torch.int64) for length in lengths]),
        "response_mask": jagged([torch.ones(length, dtype=torch.int64) for length in lengths]),
        "old_log_probs": jagged(old),
        "advantages": jagged([torch.full((3,), 1.0), torch.full((2,), 1.0), torch.full((4,), -1.0)]),
        "replay_age": torch.tensor([0, 0, 2]),
    }, batch_size=3)  # fmt: skip
    if behaviour is not None:
        data["behaviour_log_probs"] = jagged([one + behaviour for one in old])
        data["rollout_is_weights"] = jagged([torch.full((length,), np.exp(-behaviour)) for length in lengths])
    tu.assign_non_tensor(
        data, dp_size=1, batch_num_tokens=None, global_batch_size=None, max_response_len=4, max_seq_len=6
    )
    # Log-probs of whole sequences, shifted by one: that of a token stands at the place before it.
    pairs = zip(old, ratios, strict=True)
    new = [torch.cat([torch.zeros(1), one + torch.tensor(row).log(), torch.zeros(1)]) for one, row in pairs]
    return {"log_probs": jagged(new)}, data


def figures(metrics):
    """What the trainer makes of one micro-batch."""
    step = {}
    for key, value in metrics.items():
        step[key if key.startswith("actor/") else f"actor/{key}"] = (
            value.aggregate() if isinstance(value, Metric) else value
        )
    return off_policy_metrics(step, "loss")


def test_figures_of_fresh_and_replayed_rows():
    output, data = rows_of_two_ages()
    config = actor(policy_loss=PolicyLossConfig(loss_mode="grpo_rr"))
    loss, metrics = partial(dots_loss, config=config)(model_output=output, data=data)  # as the workers call it
    verls, _ = ppo_loss(config, output, data)
    assert torch.equal(loss, verls)
    found = figures(metrics)
    assert found == pytest.approx({
        # 5 tokens, one of ratio 1.3 at a positive advantage
        "loss/fresh/ratio/mean": 5.3 / 5,
        "loss/fresh/ratio/max": 1.3,
        "loss/fresh/ratio/log_difference": np.log(1.3) / 5,
        "loss/fresh/clip_share": 1 / 5,
        "loss/fresh/effective_sample_size": 5.3**2 / (5 * (4 + 1.69)),
        # 4 tokens of ratio 2, 0.5, 1, 1 at a negative one: only the one below is clipped
        "loss/replayed/ratio/mean": 4.5 / 4,
        "loss/replayed/ratio/max": 2.0,
        "loss/replayed/ratio/log_difference": 2 * np.log(2) / 4,
        "loss/replayed/clip_share": 1 / 4,
        "loss/replayed/effective_sample_size": 4.5**2 / (4 * 6.25),
        "loss/age_2-3/ratio/log_difference": 2 * np.log(2) / 4,
    }, rel=1e-5)  # fmt: skip


def test_in_the_decoupled_form_the_ratio_is_still_to_the_behaviour_policy():
    output, data = rows_of_two_ages(behaviour=np.log(0.5))
    config = actor(policy_loss=PolicyLossConfig(loss_mode="grpo_rr_decoupled"))
    _, metrics = off_policy_loss(config, output, data)
    found = figures(metrics)
    assert found["loss/fresh/ratio/mean"] == pytest.approx(2 * 5.3 / 5)
    assert found["loss/fresh/clip_share"] == pytest.approx(1 / 5)  # of current / proximal, which is clipped


def test_metrics_of_another_loss_are_left_alone():
    metrics = {"actor/pg_loss": 1.0}
    assert off_policy_metrics(metrics, "loss") == {} and metrics == {"actor/pg_loss": 1.0}


def test_every_loss_of_verl_is_known_to_go_with_the_filter_or_not():
    others = {"grpo_rr_decoupled", "dppo_tv", "dppo_kl", "dro"}  # by row too, from further inputs
    assert {*BY_ROW, *OF_ALL_ROWS, *NOT_OF_V1, *others} == set(POLICY_LOSS_REGISTRY)


@pytest.mark.parametrize("fillers", [False, True])
@pytest.mark.parametrize(
    ("name", "mode"), [("vanilla", mode) for mode in ALL_MODES] + [(name, "token-mean") for name in BY_ROW[1:]]
)
def test_rows_that_left_the_batch_change_neither_loss_nor_gradient(name, mode, fillers):
    output, data = rows_of_two_ages()
    data["advantages"] = jagged([torch.zeros(3), torch.full((2,), 1.0), torch.full((4,), -1.0)])
    del data["replay_age"]
    tu.assign_non_tensor(data, batch_num_tokens=9, global_batch_size=3)
    config = actor(loss_agg_mode=mode, loss_scale_factor=10, policy_loss=PolicyLossConfig(loss_mode=name))
    jagged_fields = {name: value for name, value in data.items() if isinstance(value, torch.Tensor)}
    left = TensorDict({name: jagged(list(value.unbind())[1:]) for name, value in jagged_fields.items()}, batch_size=2)
    # What verl's engine counts of the two rows that stay, and what the filter has written to them.
    more = {"dp_size": 1, "global_batch_size": 3, "max_response_len": 4, "max_seq_len": 6}
    tu.assign_non_tensor(left, batch_num_tokens=6, **more)
    if fillers:  # all rows are there for their number, but one of them must not count
        left = data.clone()
        tu.assign_non_tensor(left, batch_num_tokens=9, **more)
        left["advantages"] = jagged([torch.full((3,), 5.0), torch.full((2,), 1.0), torch.full((4,), -1.0)])
        left["filler"] = torch.tensor([True, False, False])
    left["unfiltered_tokens"] = torch.full((len(left),), 9)
    found = []
    for rows, part in ((slice(0, 3), data), (slice(0 if fillers else 1, 3), left)):
        new = [row.detach().clone().requires_grad_() for row in output["log_probs"].unbind()[rows]]
        loss, _ = dots_loss(config, {"log_probs": jagged(new)}, part)
        found.append((loss.detach(), torch.autograd.grad(loss, new[-2:])))
    (whole, whole_gradient), (part, part_gradient) = found
    torch.testing.assert_close(part, whole)
    for mine, theirs in zip(part_gradient, whole_gradient, strict=True):
        torch.testing.assert_close(mine, theirs)
        assert theirs.abs().sum() > 0
