"""Rollout replay in a train step: earlier groups go back into verl's TransferQueue, new effective ones are kept.

Which groups are kept and replayed is `verl_dots.replay`'s business, how their age is corrected the loss's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from transfer_queue import KVBatchMeta

from verl_dots.bridge.groups import place_of
from verl_dots.bridge.stored_groups import pack_rows, put_back
from verl_dots.config import DotsConfig
from verl_dots.methods.replay.buffer import ReplayBuffer
from verl_dots.methods.replay.sampling import Nearest, Sampling, freshest, uniform
from verl_dots.methods.stored import ReplayError, ReplayGroup
from verl_dots.training.train_questions import FreshQuestions, TrainQuestions

SEED_STREAM = 4  # apart from every other generator that is seeded with dots.seed


class ReplayStage:
    """Replay for one run of the trainer.

    Args:
        dots: the settings.
        questions: of the data set.
        source: where fresh questions come from.
        batch_size: B, questions of a train batch.
        rollout: verl's settings of it, with the step's temperature.
        target: the adaptive difficulty that is aimed at now, for dots.replay.sampling=nearest.
    """

    def __init__(
        self,
        dots: DotsConfig,
        questions: TrainQuestions,
        source: FreshQuestions,
        batch_size: int,
        rollout: Any,
        target: Callable[[], float],
    ):
        self.dots, self.questions, self.source = dots, questions, source
        self.batch_size, self.rollout = batch_size, rollout
        rng = np.random.default_rng([dots.seed, SEED_STREAM])
        settings = dots.replay
        self.buffer = ReplayBuffer(settings.capacity, dots.reward_range, settings.max_age, _sampling(dots, target), rng)
        self.metrics: dict[str, float] = {}  # of this step so far
        self.replayed: dict[str, int] = {}  # uid -> question, of what this step replays

    # --- a step ----------------------------------------------------------------------------------------------

    def next_questions(self, step: int, reused: Sequence[int]) -> np.ndarray:
        """Questions to roll out in this step; the groups that are replayed are put into the train partition.

        Args:
            step: this one.
            reused: questions whose rollouts of this step are in the train partition already.
        """
        self.buffer.expire(step)
        planned_N = self.source.planned()
        taken = {*planned_N.tolist(), *reused}
        ids = self.questions.known.ids
        groups = self.buffer.sample(self.batch_size - len(taken), exclude=[ids[question] for question in taken])
        taken |= {self.questions.number(group.question) for group in groups}
        extra_N = self.source.top_up(self.batch_size - len(taken), taken)
        if len(taken) + len(extra_N) < self.batch_size:
            raise ReplayError(
                f"step {step}: a batch of {self.batch_size} different questions cannot be filled from "
                f"{len(self.questions)}; lower data.train_batch_size or add data"
            )
        uids = [f"step{step:07d}-replay{number:06d}" for number in range(len(groups))]
        put_back(self.questions, groups, uids, step, trained_on=True)
        numbers = [self.questions.number(group.question) for group in groups]
        self.replayed = dict(zip(uids, numbers, strict=True))
        self.metrics = self._figures(groups, step) | {"replay/topped_up_groups": float(len(extra_N))}
        return np.concatenate([planned_N, extra_N])

    def store(self, batch: KVBatchMeta, question_of: Mapping[str, int], step: int) -> dict[str, float]:
        """Keep the effective groups among this step's own, and return the metrics of replay in this step.

        Args:
            batch: the train batch, with old_log_probs where they are the behaviour policy's.
            question_of: question of each uid of this step.
            step: this one.

        Raises:
            ReplayError: rollouts that cannot be kept.
        """
        own = [place for place, key in enumerate(batch.keys) if place_of(key)[0] in question_of]
        keys = [batch.keys[place] for place in own]
        ids = {uid: self.questions.known.ids[question] for uid, question in question_of.items()}
        log_probs = "old_log_probs" if self.dots.loss.behaviour == "recomputed" else "rollout_log_probs"
        temperature = float(self.rollout.temperature)
        self.buffer.put(pack_rows(keys, batch.partition_id, ids, step, temperature, log_probs))
        figures = {"groups": len(self.buffer), "fill": len(self.buffer) / self.buffer.capacity}
        self.metrics |= {f"replay/buffer/{name}": float(value) for name, value in figures.items()}
        self.metrics["replay/buffer/bytes"] = float(self.buffer.nbytes)
        return self.metrics

    def _figures(self, groups: Sequence[ReplayGroup], step: int) -> dict[str, float]:
        metrics = {
            "replay/share": len(groups) / self.batch_size,
            "replay/tokens_not_generated": float(sum(group.lengths_G.sum() for group in groups)),
        }
        if groups:
            ages = [step - group.step for group in groups]
            metrics |= {"replay/age/mean": float(np.mean(ages)), "replay/age/max": float(max(ages))}
        return metrics

    # --- checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The buffer and its generator."""
        return self.buffer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError."""
        self.buffer.load_state_dict(state)


def _sampling(dots: DotsConfig, target: Callable[[], float]) -> Sampling:
    named = {"uniform": uniform, "freshest": freshest, "nearest": Nearest(target, *dots.reward_range)}
    return named[dots.replay.sampling]
