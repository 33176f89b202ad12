"""DASH's preemptive sampling in a train step: the rollouts of several steps are sampled at once and kept until used."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from omegaconf import DictConfig

from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue.balance import balanced_part, forward_multiple
from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.queue.stored_rows import pack_rows, put_back
from verl_dots.config import DotsConfig
from verl_dots.methods.dash.cache import RolloutCache
from verl_dots.methods.dash.checks import refuse_preemptive
from verl_dots.methods.hooks import Source, Store
from verl_dots.methods.kept_groups import require_sampled
from verl_dots.methods.run import Run
from verl_dots.step import Origin, Step


class Preemptive(Store):
    """Preemptive sampling for one run of the trainer."""

    name = "preemptive"
    METRICS = {
        "sampled_groups": "groups that the step has sampled, for itself and for later ones",
        "cached_groups": "groups that are kept for later steps, after the step",
        "tokens_ahead": "response tokens that were sampled for later steps",
    }

    unequal_groups = True  # a batch that lost groups when it was sampled lacks them in each step that trains on it
    refuse = staticmethod(refuse_preemptive)

    def __init__(self, run: Run):
        super().__init__(run)
        batch_size = run.batch_size
        self.recompute = run.dots.loss.behaviour == "recomputed"
        self.batches, passes = run.dots.preemptive.batches(batch_size), run.dots.preemptive.passes(batch_size)
        self.cache = RolloutCache(passes)

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        """Where a step trains on rollouts of an earlier one; else it is verl's own way."""
        return dots.preemptive.off_policy(config.data.train_batch_size)

    def samples_next(self) -> bool:
        return self.cache.due

    def fill(self, step: Step, source: Source) -> Sequence[np.ndarray]:
        """Batches to sample; none where rollouts are there, of which the step gets the next batch."""
        if not self.cache.due:
            with step.timed(self.name):
                groups, again = self.cache.take()
                put_back(self.run.questions, groups, step, Origin.REPLAYED if again else Origin.CACHED)
            self._figures = {"preemptive/sampled_groups": 0.0}
            return []
        # No more than the run will use.
        planned = [source.plan(step) for _ in range(min(self.batches, self.run.steps - step.number + 1))]
        self.cache.begin(len(planned))
        self._figures = {"preemptive/sampled_groups": float(sum(map(len, planned)))}
        return planned

    def sampled(self, step: Step, rows: Rows) -> Rows:
        """Keep what later steps train on; their behaviour policy is the current one, so its log-probs are computed.

        Raises:
            RolloutFailure: a batch of which no group is complete.
        """
        if not step.batch_of or max(step.batch_of.values()) == 0:
            return rows
        places: list[list[int]] = [[] for _ in range(1 + max(step.batch_of.values()))]
        for place, uid in enumerate(rows.uids):
            places[step.batch_of[uid]].append(place)
        if not all(places):
            raise RolloutFailure(f"no group of {places.index([])}. batch that was sampled ahead is complete")
        ahead = [place for batch in places[1:] for place in batch]
        if self.recompute:
            multiple = forward_multiple(self.run.config.actor_rollout_ref, self.run.ranks)
            with step.timed("old_log_prob"):
                part = balanced_part(rows, ahead, self.run.ranks, multiple)
                self.run.trainer.forward("old_log_probs", part, {})
        for number, batch in enumerate(places[1:], start=1):
            self._keep(rows.at(batch), number, step)
        leaving = rows.at(ahead)
        step.other_tokens += leaving.tokens
        step.other_rollouts += leaving.rollouts
        self._figures["preemptive/tokens_ahead"] = float(leaving.tokens)
        leaving.clear()
        return rows.at(places[0])

    def observe(self, step: Step, rows: Rows) -> None:
        """Keep the step's own rollouts if a later step trains on them again."""
        if step.batch_of and self.cache.passes > 1:
            self._keep(rows.real, 0, step)

    def metrics(self, step: Step) -> dict[str, float]:
        return self._figures | {"preemptive/cached_groups": float(self.cache.groups)}

    def _keep(self, part: Rows, number: int, step: Step) -> None:
        log_probs = "old_log_probs" if self.recompute else "rollout_log_probs"
        self.cache.keep(number, pack_rows(part, self.run.questions, step, log_probs))

    def state_dict(self) -> dict[str, Any]:
        """What is kept for the steps to come."""
        return self.cache.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.cache.load_state_dict(state, partial(require_sampled, self.run))
