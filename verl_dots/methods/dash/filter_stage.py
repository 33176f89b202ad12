"""DASH's gradient filter in a train step: rows with a small advantage leave the batch before the update.

Each optimizer step has the rows that it would have had, less those that leave, and the loss is divided by what it would
have been divided by, so a threshold of 0 changes nothing but the time. A mini-batch of which all rows leave keeps the
shortest as fillers: the optimizer makes its step without a gradient, as it would have. Where advantages follow from the
rewards alone, the rows leave before the forward passes of the proximal and the reference policy, too.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import DictConfig
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl import DataProto
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

from verl_dots.bridge.rows import balanced_part, forward_multiple, pin, rows_at
from verl_dots.methods.dash.filter_rule import Reduced, kept, reduce_mini_batches
from verl_dots.methods.dash.settings import FilterConfig


class Pace:
    """Seconds that some work takes by its tokens: a line through what was measured last, the first time left out."""

    def __init__(self):
        self._measured: deque[tuple[int, float]] | None = None

    def observe(self, tokens: int, seconds: float) -> None:
        """Take in a measurement; the first one, a warm-up, is forgotten."""
        if self._measured is None:
            self._measured = deque(maxlen=64)
        else:
            self._measured.append((tokens, seconds))

    def seconds(self, tokens: int) -> float:
        """Estimated seconds, 0 for no tokens and as long as the line is not known."""
        if not tokens or len({size for size, _ in self._measured or ()}) < 2:
            return 0.0
        slope, intercept = np.polyfit(*zip(*self._measured, strict=True), deg=1)
        slope = max(float(slope), 0.0)
        return max(float(intercept), 0.0) + slope * tokens


class FilterStage:
    """The filter of one run of the trainer.

    Args:
        settings: of the filter.
        config: verl's.
        ranks: data-parallel ranks of the actor.
        early: whether rows leave before the forward passes; see `dash_checks.filters_early`.
    """

    def __init__(self, settings: FilterConfig, config: DictConfig, ranks: int, early: bool):
        self.settings, self.config, self.ranks, self.early = settings, config, ranks, early
        parts = config.actor_rollout_ref
        self.multiple = 1 if parts.actor.use_dynamic_bsz else parts.actor.ppo_micro_batch_size_per_gpu or 1
        self.forward_multiple = forward_multiple(parts.rollout, ranks)
        self._leaving: frozenset[str] | None = None  # keys, once it is decided which rows of this step leave
        self._pace: defaultdict[str, Pace] = defaultdict(Pace)
        self._saved = 0.0  # seconds, in this step

    # --- before the forward passes ---------------------------------------------------------------------------

    def decide(self, batch: KVBatchMeta) -> None:
        """Decide which rows leave by the advantages that verl will compute from the rewards, if rows leave early."""
        if self.early:
            advantages, masks = self._advantages_of_rewards(batch)
            kept_N = self._kept(batch, advantages, masks)
            self._leaving = frozenset(key for key, stays in zip(batch.keys, kept_N, strict=True) if not stays)

    def staying(self, batch: KVBatchMeta) -> KVBatchMeta:
        """The rows that a forward pass must take: what stays, filled up where it does not divide."""
        if self._leaving is None:
            return batch
        places = [place for place, key in enumerate(batch.keys) if key not in self._leaving]
        return balanced_part(batch, places, self.ranks, self.forward_multiple) if places else rows_at(batch, [])

    def stand_in(self, batch: KVBatchMeta, field: str) -> None:
        """Give the rows that leave a value of what they were spared: the engine's log-probs, or 0. No loss reads it."""
        leaving = [place for place, key in enumerate(batch.keys) if key in (self._leaving or ())]
        if not leaving:
            return
        part = rows_at(batch, leaving)
        engine = field == "old_log_probs" and self.config.actor_rollout_ref.rollout.calculate_log_probs
        name = "rollout_log_probs" if engine else "response_mask"
        found = tq.kv_batch_get(keys=part.keys, partition_id=part.partition_id, select_fields=[name])[name].unbind()
        rows = [row if engine else torch.zeros_like(row, dtype=torch.float32) for row in found]
        self._put(part, {field: torch.nested.as_nested_tensor(rows, layout=torch.jagged)})

    @contextmanager
    def timed(self, what: str, batch: KVBatchMeta, part: KVBatchMeta) -> Iterator[None]:
        """Time work on `part`, and estimate what all of `batch` would have taken."""
        done, whole = (sum(tag["seq_len"] for tag in of.tags) for of in (part, batch))
        began = time.perf_counter()
        yield
        pace = self._pace[what]
        if done:
            pace.observe(done, time.perf_counter() - began)
        self._saved += pace.seconds(whole) - pace.seconds(done)

    def saved(self) -> dict[str, float]:
        """Seconds that this step was spared, estimated; then a new step begins."""
        self._saved, saved = 0.0, self._saved
        self._leaving = None
        return {"filter/seconds_saved": saved}

    # --- before the update -----------------------------------------------------------------------------------

    def reduce(self, batch: KVBatchMeta, mini_batches: int) -> tuple[KVBatchMeta, dict[str, float]]:
        """The batch without the rows that leave, and the metrics of the filter.

        Args:
            batch: with advantages.
            mini_batches: that the whole batch is cut into.
        """
        names = ["advantages", "response_mask", "loss_mask"]
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
        advantages, masks, loss_masks = (found[name].unbind() for name in names)
        if self._leaving is None:
            kept_N = self._kept(batch, advantages, masks)
        else:
            kept_N = np.array([key not in self._leaving for key in batch.keys])
        # verl counts the tokens of a mini-batch by loss_mask, which keeps those that rejection (rollout_rs) took out.
        tokens_N = np.array([int(mask_T.sum()) for mask_T in loss_masks])
        real_N = _real(batch)
        length_N = np.array([tag["seq_len"] for tag in batch.tags])
        reduced = reduce_mini_batches(kept_N, length_N, tokens_N, self.ranks, mini_batches, self.multiple)
        metrics = {
            "filter/rows": float((real_N & ~kept_N).sum()),
            "filter/share": float((real_N & ~kept_N).sum() / real_N.sum()),
            "filter/tokens": float(length_N.sum() - length_N[reduced.places].sum()),
        }
        return self._write(rows_at(batch, reduced.places.tolist()), reduced), metrics

    def _kept(self, batch: KVBatchMeta, advantages: Any, masks: Any) -> np.ndarray:
        pairs = zip(advantages, masks, strict=True)
        size_N = np.array([float((advantage_T * mask_T).abs().max()) for advantage_T, mask_T in pairs])
        real_N = _real(batch)
        kept_N = np.zeros(len(batch), dtype=bool)
        # Of equal advantages those that leave are drawn, the same ones whenever the same rows meet: the names of the
        # rows, which hold their step, are the seed.
        rng = np.random.default_rng(list("\n".join(sorted(batch.keys)).encode()))
        kept_N[real_N] = kept(size_N[real_N], self.settings.threshold, self.settings.kind, rng)
        return kept_N

    def _advantages_of_rewards(self, batch: KVBatchMeta) -> tuple[Any, Any]:
        names = ["uid", "response_mask", "rm_scores"]
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
        data = DataProto(batch=found.to_padded_tensor())
        data.batch["token_level_scores"] = data.batch["token_level_rewards"] = data.batch["rm_scores"]
        data.non_tensor_batch["uid"] = np.array(data.batch.pop("uid").tolist(), dtype=object)
        algorithm = self.config.algorithm
        data = compute_advantage_for_multi_trajectories(
            data,
            batch_keys=batch.keys,
            adv_estimator=algorithm.adv_estimator,
            num_repeat=self.config.actor_rollout_ref.rollout.n,
            norm_adv_by_std_in_grpo=algorithm.get("norm_adv_by_std_in_grpo", True),
            config=algorithm,
        )
        return data.batch["advantages"], data.batch["response_mask"]

    def _write(self, part: KVBatchMeta, reduced: Reduced) -> KVBatchMeta:
        pin(part, {"mini_batch_size": reduced.rows * self.ranks})
        fillers, tokens = torch.from_numpy(reduced.fillers), torch.from_numpy(reduced.tokens)
        self._put(part, {"unfiltered_tokens": tokens, "filler": fillers})
        part.fields = None  # the new ones too
        return part

    @staticmethod
    def _put(part: KVBatchMeta, fields: dict[str, torch.Tensor]) -> None:
        tq.kv_batch_put(keys=part.keys, partition_id=part.partition_id, fields=TensorDict(fields, batch_size=len(part)))


def _real(batch: KVBatchMeta) -> np.ndarray:
    return np.array([not tag.get("is_padding", False) for tag in batch.tags])
