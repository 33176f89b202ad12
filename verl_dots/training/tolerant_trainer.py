"""A trainer that outlives failed rollouts: their groups leave the step; too many of them end the run, saved."""

import logging
from collections import Counter

from omegaconf import DictConfig
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from verl_dots.bridge.groups import incomplete
from verl_dots.bridge.rows import without_groups
from verl_dots.config import DotsConfig
from verl_dots.training.failures import FailureCount, RolloutFailure, take_failures
from verl_dots.training.recorded_trainer import RecordedTrainer
from verl_dots.training.stages import Stages

logger = logging.getLogger(__name__)


class TolerantTrainer(RecordedTrainer):
    """Counts the rollouts that were asked for and those that came; see `failures` for how many may be missing."""

    dots: DotsConfig
    stages: Stages

    def __init__(self, config: DictConfig, given: DictConfig):
        self._submitted: Counter[str] = Counter()  # rollouts of each prompt of this step
        super().__init__(config, given)
        rollouts = config.data.train_batch_size * config.actor_rollout_ref.rollout.n
        self.failures = FailureCount(self.dots.max_failed_share, rollouts)

    def _submit_batch_to_rollout(self, batch: TensorDict) -> int:
        if not len(batch):
            return 0
        default = self.config.actor_rollout_ref.rollout.n
        sizes = list(batch["__rollout_n__"]) if "__rollout_n__" in batch else [default] * len(batch)
        self._submitted.update(dict(zip(batch["uid"], map(int, sizes), strict=True)))
        return super()._submit_batch_to_rollout(batch)

    def step(self, metrics: dict, timing_raw: dict) -> KVBatchMeta:
        """verl's; where too many rollouts have failed, the run is saved and ends after it, or at once if all have."""
        try:
            batch = super().step(metrics, timing_raw)
        except RuntimeError as error:
            failures = take_failures()  # of a step that has nothing to train on
            if not failures and not isinstance(error, RolloutFailure):
                raise
            self.failures.add(self.global_steps, 0, failures)
            self._save_the_step_before()
            message = f"step {self.global_steps}: no group is complete. The first cause: {self.failures.first}"
            raise RolloutFailure(message) from None
        if self.failures.exceeded:
            self.end_after_step(self.failures.error())
        return batch

    def drop_failed(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        """The batch without the groups of which rollouts failed; they are counted."""
        wanted, self._submitted = self._submitted, Counter()
        missing = incomplete(batch.keys, wanted, self.stages.groups_sampled(self.config.data.train_batch_size))
        self.count_failed(sum(missing.values()), len(missing))
        batch, tokens = without_groups(batch, missing)
        metrics["training/failed_rollouts"] = float(sum(missing.values()))
        metrics["training/dropped_groups"] = float(len(missing))
        metrics["training/dropped_tokens"] = float(tokens)
        if not len(batch):
            raise RolloutFailure("no group is complete")
        return batch

    def count_failed(self, rollouts: int, groups: int) -> None:
        """Count rollouts of this step that did not come, of so many groups."""
        failures = take_failures()
        self.failures.add(self.global_steps, rollouts, failures)
        if rollouts:
            cause = failures[0].cause if failures else self.failures.first
            logger.warning(
                "step %d: %d rollouts failed, %d groups are dropped; the first cause: %s",
                self.global_steps, rollouts, groups, cause,
            )  # fmt: skip

    def _save_the_step_before(self) -> None:
        """Save what the steps before this one have learnt, unless their checkpoint is there."""
        if self.dots.preemptive.enable or self.global_steps < 2:
            return  # rollouts of this step would be missing in its cache; nothing has been learnt
        self.global_steps -= 1
        if not (self.run / f"global_step_{self.global_steps}").exists():
            self._save_checkpoint()
        self.global_steps += 1

    def _validate(self) -> dict:
        """verl's, which counts a failed rollout as wrong; how many failed is told."""
        try:
            metrics = super()._validate()
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if not (failures := take_failures()):
                raise
            raise RolloutFailure(
                f"validation at step {self.global_steps}: {len(failures)} rollouts failed. The first cause: "
                f"{failures[0].cause}"
            ) from error
        if failures := take_failures():
            logger.warning(
                "validation at step %d: %d rollouts failed and count as wrong; the first cause: %s",
                self.global_steps, len(failures), failures[0].cause,
            )  # fmt: skip
            metrics["val-aux/failed_rollouts"] = float(len(failures))
        return metrics
