"""DASH's preemptive sampling in a train step: the rollouts of several steps are sampled at once and kept until used."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import transfer_queue as tq
from transfer_queue import KVBatchMeta

from verl_dots.bridge.groups import place_of
from verl_dots.bridge.rows import balanced_part, real_rows, rows_at
from verl_dots.bridge.stored_groups import pack_rows, put_back
from verl_dots.config import DotsConfig
from verl_dots.methods.dash.cache import RolloutCache
from verl_dots.methods.replay.loss_stage import Forward
from verl_dots.training.failures import RolloutFailure
from verl_dots.training.train_questions import FreshQuestions, TrainQuestions


class PreemptiveStage:
    """Preemptive sampling for one run of the trainer.

    Args:
        dots: the settings.
        questions: of the data set.
        source: where they come from.
        config: verl's.
        steps: of the whole run.
    """

    def __init__(self, dots: DotsConfig, questions: TrainQuestions, source: FreshQuestions, config: Any, steps: int):
        batch_size = config.data.train_batch_size
        self.questions, self.source, self.steps = questions, source, steps
        self.rollout, self.recompute = config.actor_rollout_ref.rollout, dots.loss.behaviour == "recomputed"
        self.batches, passes = dots.preemptive.batches(batch_size), dots.preemptive.passes(batch_size)
        self.cache = RolloutCache(passes)
        self.batch_of: dict[str, int] = {}  # uid -> number of its batch, of what this step samples
        self.question_of: dict[str, int] = {}  # uid -> question, of what this step samples or takes from the cache
        self.again = False  # whether an earlier step has trained on that
        self.metrics: dict[str, float] = {}

    # --- a step ----------------------------------------------------------------------------------------------

    def next_questions(self, step: int) -> list[np.ndarray]:
        """Batches of questions to sample in this step; none where it has rollouts, which go to the train partition."""
        self.batch_of = {}
        if self.cache.due:
            # No more than the run will use.
            planned = [self.source.planned() for _ in range(min(self.batches, self.steps - step + 1))]
            self.cache.begin(len(planned))
            self.again = False
            self.metrics = {"preemptive/sampled_groups": float(sum(map(len, planned)))}
            return planned
        groups, self.again = self.cache.take()
        uids = [f"step{step:07d}-cached{number:06d}" for number in range(len(groups))]
        put_back(self.questions, groups, uids, step, trained_on=self.again)
        numbers = [self.questions.number(group.question) for group in groups]
        self.question_of = dict(zip(uids, numbers, strict=True))
        self.metrics = {"preemptive/sampled_groups": 0.0}
        return []

    @property
    def groups_at_hand(self) -> int:
        """Groups that this step samples or takes from the cache; fewer than a batch where some had failed."""
        return len(self.batch_of or self.question_of)

    def submitted(self, uids: Sequence[str], planned: Sequence[np.ndarray]) -> None:
        """Which names the questions of this step have got."""
        number_N = np.repeat(np.arange(len(planned)), [len(batch) for batch in planned])
        self.batch_of = dict(zip(map(str, uids), number_N.tolist(), strict=True))
        self.question_of = dict(zip(map(str, uids), np.concatenate(planned).tolist(), strict=True))

    def keep_ahead(self, batch: KVBatchMeta, step: int, ranks: int, multiple: int, forward: Forward) -> KVBatchMeta:
        """Keep what later steps train on, and return the rows of this step.

        Args:
            batch: all that was sampled, or what `next_questions` put there.
            step: this one.
            ranks, multiple: of a forward pass, see `balanced_part`.
            forward: computes old_log_probs, those of the policy that has just sampled.
        """
        places = [[] for _ in range(1 + max(self.batch_of.values(), default=-1))]
        for place, key in enumerate(batch.keys):
            if self.batch_of:
                places[self.batch_of[place_of(key)[0]]].append(place)
        if len(places) < 2:
            return batch
        if not all(places):
            raise RolloutFailure(f"no group of {places.index([])}. batch that was sampled ahead is complete")
        ahead = [place for part in places[1:] for place in part]
        if self.recompute:
            forward(balanced_part(batch, ahead, ranks, multiple), {})
        for number, part in enumerate(places[1:], start=1):
            self._keep(rows_at(batch, part), number, step)
        tokens = sum(batch.tags[place]["response_len"] for place in ahead)
        self.metrics["preemptive/tokens_ahead"] = float(tokens)
        tq.kv_clear(keys=[batch.keys[place] for place in ahead], partition_id=batch.partition_id)
        return rows_at(batch, places[0])

    def store(self, batch: KVBatchMeta, step: int) -> dict[str, float]:
        """Keep this step's own rollouts if a later step trains on them again; the metrics of this step.

        Args:
            batch: the train batch, with old_log_probs where they are the behaviour policy's.
            step: this one.
        """
        if self.batch_of and self.cache.passes > 1:
            self._keep(real_rows(batch), 0, step)
        return self.metrics | {"preemptive/cached_groups": float(self.cache.groups)}

    def _keep(self, part: KVBatchMeta, number: int, step: int) -> None:
        ids = {uid: self.questions.known.ids[question] for uid, question in self.question_of.items()}
        log_probs = "old_log_probs" if self.recompute else "rollout_log_probs"
        temperature = float(self.rollout.temperature)
        self.cache.keep(number, pack_rows(part.keys, part.partition_id, ids, step, temperature, log_probs))

    # --- checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What is kept for the steps to come."""
        return self.cache.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError."""
        self.cache.load_state_dict(state)
