"""Rollout replay in a train step: earlier groups come back, new effective ones are kept.

Which groups are kept and replayed is the buffer's business, how their age is corrected that of `loss_stage`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.queue.stored_rows import pack_rows, put_back
from verl_dots.config import DotsConfig
from verl_dots.methods.hooks import Source, Store
from verl_dots.methods.kept_groups import require_sampled
from verl_dots.methods.replay.buffer import ReplayBuffer
from verl_dots.methods.replay.checks import refuse_replay
from verl_dots.methods.replay.sampling import Nearest, fresh_count, freshest, uniform
from verl_dots.methods.run import Run
from verl_dots.step import Origin, Step
from verl_dots.stored import ReplayError, ReplayGroup

SEED_STREAM = 4  # apart from every other generator that is seeded with dots.seed


class Replay(Store):
    """Replay for one run of the trainer."""

    name = "replay"
    METRICS = {
        "share": "replayed groups over `data.train_batch_size`",
        "tokens_not_generated": "response tokens of the replayed groups, which training/generated_tokens leaves out",
        "topped_up_groups": "groups rolled out in place of what the buffer could not give",
        "overlapping_groups": "replayed groups of questions that are in the batch more than once",
        "age/mean": "steps since the replayed groups were sampled, mean",
        "age/max": "steps since the replayed groups were sampled, greatest",
        "buffer/groups": "groups in the buffer after the step",
        "buffer/fill": "the same as a share of its capacity",
        "buffer/bytes": "bytes of the buffer's arrays",
    }
    unequal_groups = True
    refuse = staticmethod(refuse_replay)

    def __init__(self, run: Run):
        super().__init__(run)
        dots, settings = run.dots, run.dots.replay
        sampling = {"uniform": uniform, "freshest": freshest, "nearest": Nearest(*dots.reward_range)}
        self.buffer = ReplayBuffer(
            settings.capacity,
            dots.reward_range,
            settings.max_age,
            sampling[settings.sampling],
            run.rng(SEED_STREAM),
            newest_only=settings.overlap != "buffer",
        )
        self.overlap = settings.overlap != "none"  # whether a step can replay a question that it has anyway

    @classmethod
    def fresh(cls, dots: DotsConfig, batch_size: int) -> int:
        """delta * B (section 4)."""
        return fresh_count(batch_size, dots.replay.delta)

    def fill(self, step: Step, source: Source) -> Sequence[np.ndarray]:
        """Replay earlier groups; what they cannot fill is rolled out beside the fresh.

        Raises:
            ReplayError: the data has too few different questions for a batch.
        """
        planned_N = source.plan(step)  # whose own seconds may be many
        with step.timed(self.name):
            return [np.concatenate([planned_N, self._fill_up(step, source, planned_N)])]

    def _fill_up(self, step: Step, source: Source, planned_N: np.ndarray) -> np.ndarray:
        """Replay what the batch lacks, and return the questions to roll out in place of what is not in the buffer.

        A batch is counted in groups: with an overlap a question can have several, under as many uids.
        """
        known, batch_size = self.run.questions, self.run.batch_size
        self.buffer.expire(step.number)
        fresh = {*planned_N.tolist(), *step.question_of.values()}
        groups = self._drawn(step, batch_size - len(fresh), fresh)
        replayed = [known.number(group.question) for group in groups]
        extra = batch_size - len(fresh) - len(groups)
        extra_N = source.top_up(step, extra, fresh if self.overlap else fresh.union(replayed))
        if len(extra_N) < extra:
            raise ReplayError(
                f"step {step.number}: a batch of {batch_size} different questions cannot be filled from {len(known)}; "
                "lower data.train_batch_size or add data",
                key="data.train_batch_size",
                reason="size",
            )
        put_back(known, groups, step, Origin.REPLAYED)
        self._figures = self._replayed(groups, step) | {"replay/topped_up_groups": float(len(extra_N))}
        return extra_N

    def _drawn(self, step: Step, count: int, fresh: set[int]) -> list[ReplayGroup]:
        """Up to `count` groups for a step that asks for the questions `fresh`; it may train on those in flight, too."""
        if step.number <= self.run.dots.replay.fresh_steps:
            return []
        ids = self.run.questions.known.ids
        excluded = () if self.overlap else [ids[question] for question in fresh | step.in_flight]
        return self.buffer.sample(count, exclude=excluded, target=step.target)

    def observe(self, step: Step, rows: Rows) -> None:
        """Keep the effective groups among those that the step has sampled; of those that it gave up none is kept.

        Raises:
            ReplayError: rollouts that cannot be kept.
        """
        recomputed = self.run.dots.loss.behaviour == "recomputed"
        self.buffer.forget(self.run.questions.known.ids[group.question] for group in step.dropped)
        own = rows.own.real
        self.buffer.put(
            pack_rows(own, self.run.questions, step, "old_log_probs" if recomputed else "rollout_log_probs")
        )

    def metrics(self, step: Step) -> dict[str, float]:
        held, batch = len(self.buffer), step.groups.values()
        times = Counter(group.question for group in batch)
        twice = [group for group in batch if group.origin is Origin.REPLAYED and times[group.question] > 1]
        figures = {"groups": held, "fill": held / self.buffer.capacity, "bytes": self.buffer.nbytes}
        figures = {f"buffer/{name}": value for name, value in figures.items()} | {"overlapping_groups": len(twice)}
        return self._figures | {f"replay/{name}": float(value) for name, value in figures.items()}

    def _replayed(self, groups: Sequence[ReplayGroup], step: Step) -> dict[str, float]:
        figures = {
            "replay/share": len(groups) / self.run.batch_size,
            "replay/tokens_not_generated": float(sum(group.lengths_G.sum() for group in groups)),
        }
        if groups:
            ages = [step.number - group.step for group in groups]
            figures |= {"replay/age/mean": float(np.mean(ages)), "replay/age/max": float(max(ages))}
        return figures

    def state_dict(self) -> dict[str, Any]:
        """The buffer and its generator."""
        return self.buffer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.buffer.load_state_dict(state, partial(require_sampled, self.run))
