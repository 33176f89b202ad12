"""Large batches in parts against all at once, through verl's own computations and its own queue."""

import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from verl.trainer.ppo.core_algos import AdaptiveKLController
from verl.trainer.ppo.v1 import trainer_base
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from tests.bridge.test_transfer_queue import real_queue  # noqa: F401
from verl_dots.bridge.queue.lean import aggregated, group_parts, in_parts, short_columns
from verl_dots.bridge.queue.rows import Rows, put_rows
from verl_dots.bridge.trainer.bridge_trainer import BridgeTrainer

ALGORITHM = OmegaConf.create({
    "adv_estimator": "grpo", "use_kl_in_reward": False, "norm_adv_by_std_in_grpo": True, "gamma": 1.0, "lam": 1.0,
    "rollout_correction": {"rollout_is": None, "rollout_rs": None, "bypass_mode": False},
})  # fmt: skip
LENGTHS = (3, 5, 2, 7, 4, 6)


def test_parts_are_whole_groups_of_few_padded_tokens():
    uids = ["a", "b", "a", "c", "b", "c", "c"]
    assert group_parts(uids, longest=10, most=1000) == [[0, 2, 1, 4, 3, 5, 6]]
    assert group_parts(uids, longest=10, most=40) == [[0, 2, 1, 4], [3, 5, 6]]
    assert group_parts(uids, longest=10, most=39) == [[0, 2], [1, 4], [3, 5, 6]]
    assert group_parts(uids, longest=10, most=1) == [[0, 2], [1, 4], [3, 5, 6]]  # no group is cut
    assert group_parts([], longest=0) == []


def put_groups() -> Rows:
    """Three groups of two rollouts each, of rewards 1 and 0; they are apart in the batch's order."""
    keys = [f"{uid}_{session}_0" for session in range(2) for uid in "abc"]
    tags = [{"response_len": T, "seq_len": T + 2, "min_global_steps": 0, "max_global_steps": 0} for T in LENGTHS]
    fields = [
        {
            "uid": key[0], "prompts": torch.tensor([1, 2]), "responses": torch.arange(T),
            "response_mask": torch.tensor([1] * (T - 1) + [place % 2]), "num_turns": 2,
            "rm_scores": torch.tensor([0.0] * (T - 1) + [float(place < 3)]),
            "rollout_log_probs": torch.full((T,), -0.5), "old_log_probs": torch.full((T,), -0.25 * (place + 1)),
        }
        for place, (key, T) in enumerate(zip(keys, LENGTHS, strict=True))
    ]  # fmt: skip
    put_rows(keys, fields, tags)
    return Rows.of(keys, tags)


PADDING = {"response_len": 1, "seq_len": 3, "min_global_steps": 0, "max_global_steps": 0, "is_padding": True}


def put_padding(rows: Rows) -> list[str]:
    """Two rows as verl fills a batch up with; their keys."""
    keys = ["pad_0_0", "pad_1_0"]
    fields = [
        {
            "uid": "pad", "prompts": torch.tensor([1, 2]), "responses": torch.tensor([0]),
            "response_mask": torch.tensor([0]), "num_turns": 2, "rm_scores": torch.tensor([0.0]),
            "rollout_log_probs": torch.zeros(1), "old_log_probs": torch.zeros(1),
        }
    ] * 2  # fmt: skip
    put_rows(keys, fields, [PADDING] * 2)
    return keys


def test_figures_of_parts_are_means_maxima_and_minima_by_what_their_names_end_in():
    names = ("rollout_rs_seq_sum_k1_mean", "ratio_max", "x_max_deviation", "ratio_min", "rollout_rs_seq_max_k2_mean")
    figures = [dict.fromkeys(names, value) for value in (1.0, 4.0)] + [{"only_here": 7.0}]
    assert aggregated(figures, [2, 1, 5]) == {
        "rollout_rs_seq_sum_k1_mean": 2.0, "ratio_max": 4.0, "x_max_deviation": 4.0, "ratio_min": 1.0,
        "rollout_rs_seq_max_k2_mean": 2.0, "only_here": 7.0,
    }  # fmt: skip


def test_a_figure_that_is_no_number_in_one_part_is_none_of_the_whole():
    names = ("ratio_max", "ratio_min", "kl")
    for values in ((1.0, math.nan), (math.nan, 1.0)):
        found = aggregated([dict.fromkeys(names, value) for value in values], [1, 1])
        assert all(math.isnan(found[name]) for name in names)


def figures_of(rows: Rows) -> dict:
    """verl's figures of a step."""
    moe = SimpleNamespace(update=lambda **_: False)
    rollout, model = {"moe_load_balance_metrics_interval": 0}, {"mtp": None}
    trainer = SimpleNamespace(
        config=OmegaConf.create({"actor_rollout_ref": {"rollout": rollout, "model": model}}), use_critic=False,
        _rollout_moe_lb_metrics_accumulator=moe, _get_n_gpus_for_throughput=lambda: 1,
    )  # fmt: skip
    metrics: dict = {}
    PPOTrainer._compute_metrics(trainer, rows.meta, metrics, {"step": 1.0, "gen": 0.5}, global_steps=1, epoch=0)
    return metrics


@pytest.mark.e2e
def test_parts_give_what_the_whole_gives(real_queue):  # noqa: F811
    rows = put_groups()
    trainer = SimpleNamespace(
        config=OmegaConf.create({"algorithm": ALGORITHM, "actor_rollout_ref": {"rollout": {"n": 2}}})
    )
    sizes = []

    def compute(meta, metrics):
        sizes.append(len(meta.keys))
        return PPOTrainer._compute_advantage(trainer, meta, metrics=metrics)

    found = {}
    for most in (1000, 14):
        figures: dict = {}
        meta = in_parts(compute, rows, ALGORITHM, figures, most)
        assert (meta.keys, meta.tags) == (rows.keys, rows.tags)
        meta.extra_info.update({"mini_batch_size": 4})  # verl's next pass adds what its workers need
        found[most] = [row.tolist() for row in rows.get("advantages")[0]], figures
    assert sizes == [6, 2, 2, 2]
    assert found[1000][0] == found[14][0]
    # Rewards 1 and 0: the difference to their mean, 0.5, by the sample deviation, 0.7071.
    assert found[14][0][0] == pytest.approx([0.70711] * 2 + [0.0], rel=1e-4)
    assert found[1000][1].keys() == found[14][1].keys()
    # verl never sees rows that pad the batch: they get zeros.
    padded, sizes[:] = Rows.of([*rows.keys, *put_padding(rows)], [*rows.tags, *[PADDING] * 2]), []
    assert in_parts(compute, padded, ALGORITHM, {}, 14).keys == padded.keys
    assert sizes == [2, 2, 2]
    assert [row.tolist() for row in padded.get("advantages")[0]] == [*found[14][0], [0.0], [0.0]]
    # What only the rows' own tags say, as of the temperature of groups in flight, stays.
    rows.tags[0]["temperature"] = 0.7
    trainer._compute_advantage = compute
    BridgeTrainer.compute_advantages(trainer, rows, {})
    assert [tag.get("temperature") for tag in rows.tags] == [0.7, *[None] * 5]
    # Weights by their mean over the batch are the same, whatever the bound.
    normalized = {"rollout_is": "token", "rollout_is_threshold": 2.0, "rollout_is_batch_normalize": True}
    algorithm = OmegaConf.merge(ALGORITHM, {"rollout_correction": normalized})
    trainer.config.algorithm, sizes[:] = algorithm, []
    in_parts(compute, rows, algorithm, {}, 14)
    assert sizes == [6]
    # Columns of a byte a token change no figure.
    fetch, whole = trainer_base.get_metric_data_with_optional_routed_experts, figures_of(rows)
    with short_columns():
        assert figures_of(rows) == whole
    assert trainer_base.get_metric_data_with_optional_routed_experts is fetch
    assert whole["response_length/mean"] == 4.5 and whole["prompt_length/max"] == 2


def test_what_looks_at_the_whole_batch_is_not_cut():
    rows = Rows.of(["a_0_0", "b_0_0"], [{"response_len": 9}] * 2)
    seen = []
    for change in ({"adv_estimator": "reinforce_plus_plus"}, {"use_kl_in_reward": True}):
        in_parts(lambda meta, metrics: seen.append(len(meta.keys)), rows, OmegaConf.merge(ALGORITHM, change), {}, 1)
    assert seen == [2, 2]


class Trained:
    """A trainer as far as verl's `_compute_advantage` needs one."""

    def __init__(self, **algorithm):
        self.algorithm = OmegaConf.merge(ALGORITHM, algorithm)
        self.config = OmegaConf.create({"algorithm": self.algorithm, "actor_rollout_ref": {"rollout": {"n": 2}}})
        self.kl_ctrl_in_reward = AdaptiveKLController(init_kl_coef=0.2, target_kl=0.3, horizon=100)

    def advantages(self, rows: Rows) -> tuple[list, dict]:
        figures: dict = {}
        meta = in_parts(partial(PPOTrainer._compute_advantage, self), rows, self.algorithm, figures)
        assert meta.keys == rows.keys
        return [row.tolist() for row in rows.get("advantages")[0]], figures


WITH_PADDING = (
    {"adv_estimator": "gpg"},
    {"adv_estimator": "grpo_passk"},
    {"adv_estimator": "reinforce_plus_plus"},
    {"use_kl_in_reward": True, "kl_penalty": "k1", "kl_ctrl": {"type": "adaptive"}},
)


@pytest.mark.e2e
def test_rows_that_pad_the_batch_change_nothing_of_the_others(real_queue):  # noqa: F811
    """Some estimators count rows or groups, whiten over the batch, or take the mean of a KL penalty over it."""
    for algorithm in WITH_PADDING:
        rows = put_groups()
        rows.put({"ref_log_prob": [torch.full((T,), -0.6) for T in LENGTHS]})
        alone, padded = Trained(**algorithm), Trained(**algorithm)
        expected, figures = alone.advantages(rows)
        (one, other) = put_padding(rows)
        filled = Rows.of([rows.keys[0], one, *rows.keys[1:]], [rows.tags[0], PADDING, *rows.tags[1:]])
        found, of_filled = padded.advantages(filled)
        assert found == [expected[0], [0.0], *expected[1:]] and of_filled == pytest.approx(figures)
        assert any(any(row) for row in expected)
        assert padded.kl_ctrl_in_reward.value == alone.kl_ctrl_in_reward.value
        Rows.of([*filled.keys, other], [*filled.tags, PADDING]).clear()
