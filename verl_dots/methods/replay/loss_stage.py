"""Log-probs, weights and ages of a step's rows for GRPO-RR, written to the TransferQueue where verl's loss finds them.

grpo_rr: old_log_probs are the behaviour policy's, so rows of earlier steps need no forward pass; this step's need one
unless the engine's log-probs are taken. grpo_rr_decoupled: old_log_probs are the proximal policy's, for all rows, and
rollout_is_weights are proximal / behaviour. Fresh rows whose behaviour is recomputed have weights of exactly 1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from verl_dots.bridge.rows import LEFT_OUT, TEMPERATURE, balanced_part, forward_multiple, is_stored, pin, rows_at
from verl_dots.methods.replay.loss_rule import behaviour_weights, ratio_figures, ratio_sums
from verl_dots.methods.replay.settings import GRPO_RR_DECOUPLED, LossConfig

# (batch, metrics) -> None: verl's forward pass, which writes old_log_probs
Forward = Callable[[KVBatchMeta, dict], Any]


class OffPolicyStage:
    """What verl's loss needs to know of the behaviour policy.

    Args:
        loss_mode: grpo_rr or grpo_rr_decoupled.
        settings: of the loss.
        rollout: verl's settings of it; replayed rows keep the temperature that they were sampled at.
        ranks: data-parallel ranks of the actor.
        one_temperature: the model's kernels know one temperature for all rows only.
    """

    def __init__(self, loss_mode: str, settings: LossConfig, rollout: Any, ranks: int, one_temperature: bool = False):
        self.decoupled, self.settings, self.ranks = loss_mode == GRPO_RR_DECOUPLED, settings, ranks
        self.rollout, self.one_temperature = rollout, one_temperature
        self.multiple = forward_multiple(rollout, ranks)

    def write(self, batch: KVBatchMeta, step: int, metrics: dict, forward: Forward) -> None:
        """Write old_log_probs, replay_age and, if decoupled, behaviour_log_probs and rollout_is_weights of all rows.

        verl's metrics of the forward pass (entropy, engine against trainer) are those of this step's own rows, if there
        are any.
        """
        stored = [place for place, tag in enumerate(batch.tags) if is_stored(tag)]
        fresh = [place for place, tag in enumerate(batch.tags) if not is_stored(tag)]
        recompute = self.settings.behaviour == "recomputed"
        if self.keep_temperatures(batch):
            _put(batch, {TEMPERATURE: torch.tensor(self._temperatures(batch))})
        if fresh and (self.decoupled or recompute):
            forward(self._part(batch, fresh), metrics)
        if self.decoupled:
            if stored:
                forward(self._part(batch, stored), {} if fresh else metrics)
            self._write_weights(batch, set(fresh) if recompute else set(), metrics)
        else:
            self._copy_behaviour(batch, stored if recompute else range(len(batch)))
        ages = [step - tag["global_steps"] if is_stored(tag) else 0 for tag in batch.tags]
        _put(batch, {"replay_age": torch.tensor(ages, dtype=torch.int64)})

    def keep_temperatures(self, batch: KVBatchMeta) -> bool:
        """See to it that log-probs are computed at each row's own temperature; whether those differ."""
        found = sorted(set(self._temperatures(batch)))
        differ = len(found) > 1
        if found == [float(self.rollout.temperature)]:
            return False
        if differ and self.one_temperature:
            raise ValueError(
                f"rollouts of temperatures {found} in one batch: actor_rollout_ref.model.use_fused_kernels knows one "
                "for all rows; turn it off, or go on at the temperature of the rollouts in the replay buffer"
            )
        # One for all, but not the step's: every row comes from a run that went on at another temperature.
        pin(batch, {TEMPERATURE: LEFT_OUT if differ else found[0]})
        return differ

    def _temperatures(self, batch: KVBatchMeta) -> list[float]:
        return [float(tag.get(TEMPERATURE, self.rollout.temperature)) for tag in batch.tags]

    def _part(self, batch: KVBatchMeta, places: Sequence[int]) -> KVBatchMeta:
        """What fills up is computed in vain: it is written again afterwards, or has the same value."""
        return balanced_part(batch, places, self.ranks, self.multiple)

    def _copy_behaviour(self, batch: KVBatchMeta, places: Sequence[int]) -> None:
        if not len(places):
            return
        part = rows_at(batch, places)
        found = tq.kv_batch_get(keys=part.keys, partition_id=part.partition_id, select_fields=["rollout_log_probs"])
        _put(part, {"old_log_probs": found["rollout_log_probs"]})

    def _write_weights(self, batch: KVBatchMeta, on_policy: set[int], metrics: dict) -> None:
        names = ["old_log_probs", "rollout_log_probs", "response_mask"]
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
        proximal, sampled, masks = (found[name].unbind() for name in names)
        behaviour = [(proximal if place in on_policy else sampled)[place] for place in range(len(batch))]
        pairs = list(zip(proximal, behaviour, strict=True))
        weights = [behaviour_weights(*pair, self.settings.truncation) for pair in pairs]
        _put(batch, {"behaviour_log_probs": _jagged(behaviour), "rollout_is_weights": _jagged(weights)})
        weight_n = torch.cat(weights)
        truncated_n = torch.cat([behaviour_weights(*pair) for pair in pairs]) > weight_n
        sums, largest = ratio_sums(weight_n, truncated_n, torch.cat(masks))
        if figures := ratio_figures(sums):
            metrics["off_policy/weights/max"] = largest
            metrics["off_policy/weights/truncated_share"] = figures["clip_share"]
            metrics["off_policy/weights/effective_sample_size"] = figures["effective_sample_size"]


def _put(batch: KVBatchMeta, fields: dict[str, torch.Tensor]) -> None:
    tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=TensorDict(fields, batch_size=len(batch)))


def _jagged(rows: list[torch.Tensor]) -> torch.Tensor:
    return torch.nested.as_nested_tensor(rows, layout=torch.jagged)
