"""Refill in a train step: the groups that teach nothing leave, and further questions are rolled out in their place."""

import logging

import numpy as np

from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.hooks import Source, Stage
from verl_dots.methods.refill.checks import refuse_refill
from verl_dots.methods.refill.rule import stays
from verl_dots.methods.run import Run
from verl_dots.settings import Refusal
from verl_dots.step import Step

logger = logging.getLogger(__name__)


class RefillError(Refusal):
    """A step that further questions could not fill."""


class Refill(Stage):
    """Refill for one run of the trainer. A step depends on no other, so there is nothing to save."""

    name = "refill"
    METRICS = {
        "rounds": "times that the step rolled out further questions",
        "dropped_groups": "groups that were rolled out and left the step",
        "dropped_tokens": "response tokens of these; training/generated_tokens counts them too",
        "stayed": "share of the groups that were rolled out, failed ones left out, that the step trains on",
        "missing_groups": "groups of the batch that the further questions could not fill",
    }
    knows_questions = True
    unequal_groups = True
    refuse = staticmethod(refuse_refill)

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings = run.dots.refill

    def arrived(self, step: Step, rows: Rows, source: Source) -> Rows:
        """Roll out further questions for as long as groups are missing; where none stays at all, the last ones do.

        Raises:
            RefillError: groups are missing at the limit, and dots.refill.at_the_limit is "raise".
        """
        rounds, before = 0, len(step.dropped)
        rows, leaving = self._parts(step, rows)
        while rounds < self.settings.max_rounds and len(questions_N := self._further(step, rows, source)):
            rounds += 1
            self.give_up(step, leaving)
            with step.timed(self.name):
                found, leaving = self._parts(step, self.run.trainer.roll_out_more(step, questions_N))
            rows = rows.joined(found)
        missing = self._missing(rows)
        if missing:
            self._at_the_limit(step, missing, rounds)
        if not len(rows):  # a step trains on something
            rows, leaving = leaving, rows
        self.give_up(step, leaving)
        self._account(step, rows, rounds, missing, len(step.dropped) - before)
        return rows

    def _parts(self, step: Step, rows: Rows) -> tuple[Rows, Rows]:
        """The rows that stay, among them all of earlier steps, and those of the groups that do not."""
        groups = rows.own.groups(step.question_of).values()
        reward_range = self.run.dots.reward_range
        names = {group.uid for group in groups if not stays(group.rewards, self.settings.within, reward_range)}
        leaves_N = np.array([uid in names for uid in rows.uids], dtype=bool)
        return rows.at(np.flatnonzero(~leaves_N).tolist()), rows.at(np.flatnonzero(leaves_N).tolist())

    def _missing(self, rows: Rows) -> int:
        return max(0, self.run.batch_size - len(set(rows.uids)))

    def _further(self, step: Step, rows: Rows, source: Source) -> np.ndarray:
        """Questions in place of the missing groups, none that the step has had."""
        had = set(step.question_of.values())
        count = min(self._missing(rows), len(self.run.questions) - len(had))
        return source.top_up(step, count, had) if count > 0 else np.empty(0, dtype=np.int64)

    def _at_the_limit(self, step: Step, missing: int, rounds: int) -> None:
        of = f"step {step.number}: after {rounds} further rounds of rollouts {missing} of {self.run.batch_size} groups"
        if self.settings.at_the_limit == "raise":
            raise RefillError(
                f"{of} are missing, for the rollouts of others are outside of dots.refill.within="
                f"{self.settings.within}; widen it, raise dots.refill.max_rounds={self.settings.max_rounds}, add data, "
                "or train on what is there with dots.refill.at_the_limit=train",
                key="dots.refill.max_rounds",
                reason="size",
            )
        logger.warning("%s are missing; the step trains on what is there, by dots.refill.at_the_limit=train", of)

    def _account(self, step: Step, rows: Rows, rounds: int, missing: int, dropped: int) -> None:
        own, of_all = len(set(rows.own.uids)), len(step.dropped)
        figures = {"rounds": rounds, "missing_groups": missing, "dropped_groups": dropped}
        figures["stayed"] = own / max(own + of_all, 1)
        self._figures |= {f"refill/{name}": float(value) for name, value in figures.items()}
