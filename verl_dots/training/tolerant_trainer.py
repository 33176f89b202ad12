"""A trainer that outlives failed rollouts: their groups leave the step; too many of them end the run, saved."""

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig
from ray.exceptions import RayActorError, RayError
from tensordict import TensorDict

from verl_dots.bridge.agents.failures import Failure, RolloutFailure, cause_of, take_failures
from verl_dots.bridge.queue.evictions import tell_evictions
from verl_dots.bridge.queue.prompts import StepPrompts
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.rows import Rows, incomplete
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.config import DotsConfig
from verl_dots.methods.run import References
from verl_dots.step import Step
from verl_dots.training.failures import FailureCount
from verl_dots.training.rescued_trainer import RescuedTrainer
from verl_dots.training.run_record import Failed

logger = logging.getLogger(__name__)

REFERENCE_PARTITION = "reference"


class TolerantTrainer(RescuedTrainer):
    """Counts the rollouts that were asked for and those that came; see `failures` for how many may be missing."""

    dots: DotsConfig
    questions: TrainQuestions | None
    now: Step  # at hand
    prompts: StepPrompts  # of it

    def __init__(self, config: DictConfig, given: DictConfig):
        self._submitted: Counter[str] = Counter()  # rollouts of each prompt of this step
        super().__init__(config, given)
        rollouts = config.data.train_batch_size * config.actor_rollout_ref.rollout.n
        self.failures = FailureCount(self.dots.max_failed_share, rollouts)
        tell_evictions(self.replay_buffer, self.evicted)

    def submit(self, prompts: TensorDict) -> int:
        if not len(prompts):
            return 0
        self.remember(prompts)
        return super().submit(prompts)

    def remember(self, prompts: TensorDict) -> None:
        """Note how many rollouts of each prompt there will be."""
        self._submitted.update(dict(zip(prompts["uid"], self.prompts.sizes(prompts), strict=True)))

    def expect(self, whole: Mapping[str, int]) -> None:
        """Of begun groups, uid -> rollouts, wait for all of them, those before the last submission among them."""
        self._submitted |= whole

    def step(self, metrics: dict, timing_raw: dict) -> Any:
        """verl's; where too many rollouts have failed, the run is saved and ends after it, or at once if all have."""
        try:
            batch = super().step(metrics, timing_raw)
        except (RuntimeError, RayActorError) as error:
            if (ended := self._ended(error)) is None:
                raise
            raise ended from error
        if self.failures.exceeded:
            self.end_after_step(self.failures.error())
        return batch

    def _ended(self, error: Exception) -> RolloutFailure | None:
        """What the run ends with where a step has raised for want of rollouts; None for another error."""
        told = isinstance(error, RolloutFailure)
        died = isinstance(error, RayActorError)  # the engine, or whichever process it is
        if not told and not died and (isinstance(error, WaitError | RayError) or self.now.groups):
            return None  # a worker's, or of what follows the rollouts; those in flight may fail meanwhile
        failures = take_failures(Step.named)  # of a step that has nothing to train on
        if not failures and not died and not told:
            return None
        self.failures.add(self.global_steps, 0, failures)
        what = str(error) if told else "no group is complete"
        in_step = self.failures.cause_in(self.global_steps)
        cause = failures[0].cause if failures else cause_of(error) if died else in_step
        because = f". The first cause: {cause}" if cause and cause not in what else ""
        return RolloutFailure(f"step {self.global_steps}: {'a process died' if died else what}{because}")

    def drop_failed(self, rows: Rows, groups: int, metrics: dict) -> Rows:
        """The rows, of so many groups, without the groups of which rollouts failed; they are counted."""
        wanted, self._submitted = self._submitted, Counter()
        missing = incomplete(rows.keys, wanted, groups)
        rows, dropped = rows.without(missing)
        self.count_missing(missing, dropped, metrics)
        return rows

    def evicted(self, uids: set[str], rows: Rows) -> None:
        """verl's buffer takes these groups out of the queue: by DAPO's filter, as surplus, or since they failed.

        The rows that have come of them were sampled like all others; they count.
        """
        wanted = {uid: self._submitted.pop(uid, 0) for uid in uids}
        self.count_missing(incomplete(rows.keys, wanted), rows, self.now.metrics)

    def count_missing(self, missing: Mapping[str, int], dropped: Rows, metrics: dict) -> None:
        """Count rollouts that did not come, uid -> how many, and the rows that the step gives up."""
        self.count_failed(sum(missing.values()), len(missing))
        self.now.other_tokens += dropped.tokens
        self.now.other_rollouts += dropped.rollouts
        of_failed = dropped.at([place for place, uid in enumerate(dropped.uids) if uid in missing])
        counts = {"failed_rollouts": sum(missing.values()), "dropped_groups": len(missing)}
        for name, count in (counts | {"dropped_tokens": of_failed.tokens}).items():
            metrics[f"training/{name}"] = metrics.get(f"training/{name}", 0.0) + float(count)

    def roll_out_references(self, step: Step, questions_K: np.ndarray) -> References:
        """Roll out questions apart from the step's own batch; groups of which rollouts failed are dropped and counted.

        Raises:
            RolloutFailure: no group is complete.
        """
        uids, first_rollout = self.prompts.name_references(len(questions_K))
        prompts = self.questions.batch(questions_K, step.number)
        rows = self.roll_out_apart(prompts, uids, REFERENCE_PARTITION, first_rollout)
        missing = incomplete(rows.keys, dict.fromkeys(uids, self.config.actor_rollout_ref.rollout.n))
        self.count_failed(sum(missing.values()), len(missing))
        rows, dropped = rows.without(missing)
        complete_K = np.array([uid not in missing for uid in uids])
        if not complete_K.any():
            raise RolloutFailure("no group of the references is complete")
        complete = [uid for uid in uids if uid not in missing]
        return References(rows, complete, complete_K, dropped.tokens, dropped.rollouts)

    def count_failed(self, rollouts: int, groups: int) -> None:
        """Count rollouts of this step that did not come, of so many groups."""
        failures = take_failures(Step.named)
        self.failures.add(self.global_steps, rollouts, failures)
        if rollouts:
            cause = failures[0].cause if failures else self.failures.first
            logger.warning(
                "step %d: %d rollouts failed, %d groups are dropped; the first cause: %s",
                self.global_steps, rollouts, groups, cause,
            )  # fmt: skip

    def generated_tokens(self, rows: Rows) -> int:
        return rows.own.real.tokens + self.now.other_tokens

    def generated_rollouts(self, rows: Rows) -> int:
        return rows.own.real.rollouts + self.now.other_rollouts

    def failed(self) -> Failed:
        return self.failures.until(self.global_steps)

    def load(self) -> None:
        super().load()
        if self._record is not None:
            self.failures.resume(self._record.failed)

    def _failed_validation(self, failures: list[Failure]) -> RolloutFailure:
        return RolloutFailure(
            f"validation at step {self.global_steps}: {len(failures)} rollouts failed. The first cause: "
            f"{failures[0].cause}"
        )

    def validate(self) -> dict:
        """verl's, which counts a failed rollout as wrong; how many failed is told.

        Raises:
            RolloutFailure: none came, or a process died that they needed: the accuracy would be wrong without a word.
            WaitError: there was no news for too long, where a reward model computes on the devices that save.
        """
        try:
            metrics = super().validate()
        except WaitError as error:
            if self.has_colocated_rewards:
                raise
            raise RolloutFailure(str(error)) from error
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if not (failures := take_failures(lambda name: not Step.named(name))):
                raise
            raise self._failed_validation(failures) from error
        if failures := take_failures(lambda name: not Step.named(name)):
            if any(failure.died for failure in failures):
                raise self._failed_validation(failures)
            logger.warning(
                "validation at step %d: %d rollouts failed and count as wrong; the first cause: %s",
                self.global_steps, len(failures), failures[0].cause,
            )  # fmt: skip
            metrics["val-aux/failed_rollouts"] = float(len(failures))
        return metrics
