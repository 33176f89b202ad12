"""Rollout replay in a train step: earlier groups come back, new effective ones are kept.

Which groups are kept and replayed is the buffer's business, how their age is corrected that of `loss_stage`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from verl_dots.bridge.rows import Rows
from verl_dots.bridge.stored_rows import pack_rows, put_back
from verl_dots.config import DotsConfig
from verl_dots.methods.hooks import Run, Source, Store
from verl_dots.methods.replay.buffer import ReplayBuffer
from verl_dots.methods.replay.checks import refuse_replay
from verl_dots.methods.replay.sampling import Nearest, fresh_count, freshest, uniform
from verl_dots.step import Origin, Step
from verl_dots.stored import ReplayError, ReplayGroup

SEED_STREAM = 4  # apart from every other generator that is seeded with dots.seed


class Replay(Store):
    """Replay for one run of the trainer."""

    name = "replay"
    METRICS = {
        "share": "share of the batch's groups that are replayed",
        "tokens_not_generated": "response tokens of the replayed groups, which training/generated_tokens leaves out",
        "topped_up_groups": "groups rolled out in place of what the buffer could not give",
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
        dots = run.dots
        sampling = {"uniform": uniform, "freshest": freshest, "nearest": Nearest(*dots.reward_range)}
        self.buffer = ReplayBuffer(
            dots.replay.capacity,
            dots.reward_range,
            dots.replay.max_age,
            sampling[dots.replay.sampling],
            run.rng(SEED_STREAM),
        )

    @classmethod
    def fresh(cls, dots: DotsConfig, batch_size: int) -> int:
        """delta * B (section 4)."""
        return fresh_count(batch_size, dots.replay.delta)

    def fill(self, step: Step, source: Source) -> Sequence[np.ndarray]:
        """Replay groups of questions that the step has not; what they cannot fill is rolled out beside the fresh.

        Raises:
            ReplayError: the data has too few different questions for a batch.
        """
        planned_N = source.plan(step)  # whose own seconds may be many
        with step.timed(self.name):
            return [np.concatenate([planned_N, self._fill_up(step, source, planned_N)])]

    def _fill_up(self, step: Step, source: Source, planned_N: np.ndarray) -> np.ndarray:
        """Replay what the batch lacks, and return the questions to roll out in place of what is not in the buffer."""
        known, batch_size = self.run.questions, self.run.batch_size
        self.buffer.expire(step.number)
        taken = {*planned_N.tolist(), *step.question_of.values()}
        ids = known.known.ids
        excluded = [ids[question] for question in taken]
        groups = self.buffer.sample(batch_size - len(taken), exclude=excluded, target=step.target)
        taken |= {known.number(group.question) for group in groups}
        extra_N = source.top_up(step, batch_size - len(taken), taken)
        if len(taken) + len(extra_N) < batch_size:
            raise ReplayError(
                f"step {step.number}: a batch of {batch_size} different questions cannot be filled from {len(known)}; "
                "lower data.train_batch_size or add data",
                key="data.train_batch_size",
                reason="size",
            )
        put_back(known, groups, step, Origin.REPLAYED)
        self._figures = self._replayed(groups, step) | {"replay/topped_up_groups": float(len(extra_N))}
        return extra_N

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
        held = len(self.buffer)
        figures = {"groups": held, "fill": held / self.buffer.capacity, "bytes": self.buffer.nbytes}
        return self._figures | {f"replay/buffer/{name}": float(value) for name, value in figures.items()}

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
        self.buffer.load_state_dict(state)
