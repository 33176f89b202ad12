"""Stopping early in a train step: groups begin with some of their rollouts, and those that may teach get the others."""

from collections.abc import Mapping, Sequence

import numpy as np

from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.hooks import Source, Stage
from verl_dots.methods.run import Run
from verl_dots.methods.stop_early.checks import refuse_stop_early
from verl_dots.methods.stop_early.rule import alike_probability, first_size, unbiased_mean
from verl_dots.step import Group, Step

SEED_STREAM = 2611_28004  # no paper's, and apart from every other generator that is seeded with dots.seed


class StopEarly(Stage):
    """Stopping early for one run of the trainer. A step depends on no other, so there is nothing to save."""

    name = "stop_early"
    METRICS = {
        "stopped": "share of the groups that had begun and got no further rollouts",
        "saved": "share of the rollouts of all groups that had begun which were not needed",
        "further_groups": "questions that were rolled out with what was saved",
        "dropped_tokens": "response tokens of the stopped groups; training/generated_tokens counts them too",
        "expected_false_stops": "share of the stopped groups whose rewards would have differed, by their predictions",
        "audited": "groups that could stop and were rolled out in whole",
        "false_stops": "share of these whose rewards differ",
    }
    knows_questions = True
    unequal_groups = True
    refuse = staticmethod(refuse_stop_early)

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings = run.dots.stop_early
        self._size: dict[str, int] = {}  # of each group of the step that has begun, in all

    def begin(self, step: Step) -> None:
        super().begin(step)
        self._size = {}

    def first_sizes(self, step: Step, uids: Sequence[str], sizes_N: np.ndarray) -> np.ndarray:
        """Part of the rollouts of each group."""
        self._size = dict(zip(uids, sizes_N.tolist(), strict=True))
        return np.array([first_size(size, self.settings.first) for size in sizes_N.tolist()], dtype=np.int64)

    def arrived(self, step: Step, rows: Rows, source: Source) -> Rows:
        """Stop groups that will hardly teach, complete the others, and roll out further questions with what is saved.

        Where all groups stop and no other question is rolled out, the step trains on these.
        """
        groups = rows.groups(step.question_of).values()
        begun = [group for group in groups if self._size.get(group.uid, 0) > group.size]
        alike = {group.uid: self._alike(step, group) for group in begun}
        could_stop = [group for group in begun if alike[group.uid] >= self.settings.confidence]
        audited = self._audited(step, could_stop)
        stopped = [group for group in could_stop if group.uid not in audited]
        saved = sum(self._size[group.uid] - group.size for group in stopped)
        stopping = {group.uid for group in stopped}
        whole = {group.uid: self._size[group.uid] for group in begun if group.uid not in stopping}
        questions_N = self._further(step, saved, source)
        with step.timed(self.name):
            rows = self._completed(step, rows, whole, questions_N)
        step.unbiased |= self._unbiased(step, rows, whole, {group.uid: group.size for group in begun})
        self._account(step, stopped, saved, [alike[group.uid] for group in stopped], rows, audited)
        self._figures["stop_early/further_groups"] = float(len(questions_N))
        return self._without(step, rows, stopping)

    def _alike(self, step: Step, group: Group) -> float:
        """Probability that the group's other rollouts have the rewards of the first; 0 without a prediction."""
        return self._alike_if(step, group, group.rewards)

    def _alike_if(self, step: Step, group: Group, first_F: Sequence[float]) -> float:
        """The same if its first rewards were these."""
        difficulty = step.predicted.get(group.question)
        if difficulty is None:
            return 0.0
        size, strength = self._size[group.uid], self.settings.strength
        return alike_probability(first_F, size, difficulty, strength, self.run.dots.reward_range)

    def _unbiased(self, step: Step, rows: Rows, whole: Mapping[str, int], first: Mapping[str, int]) -> dict[str, float]:
        """uid -> unbiased mean reward of the completed groups that could have stopped."""
        audit, reward_range, found = self.settings.audit, self.run.dots.reward_range, {}
        for uid, group in rows.groups(step.question_of).items():
            if uid not in whole:
                continue
            ends = [self._alike_if(step, group, [end] * first[uid]) for end in reward_range]
            stops = (ends[0] >= self.settings.confidence, ends[1] >= self.settings.confidence)
            if any(stops):
                found[uid] = unbiased_mean(group.rewards, first[uid], stops, audit, reward_range)
        return found

    def _audited(self, step: Step, groups: Sequence[Group]) -> set[str]:
        """Those that are rolled out all the same; the draw is of the step alone."""
        drawn_N = np.random.default_rng([self.run.dots.seed, SEED_STREAM, step.number]).random(len(groups))
        return {group.uid for group, drawn in zip(groups, drawn_N, strict=True) if drawn < self.settings.audit}

    def _further(self, step: Step, saved: int, source: Source) -> np.ndarray:
        """Questions that the saved rollouts are enough for, none that the step has had."""
        had = set(step.question_of.values())
        count = min(saved // self.run.rollout.n, len(self.run.questions) - len(had))
        if not self.settings.elsewhere or count <= 0:
            return np.empty(0, dtype=np.int64)
        return source.top_up(step, count, had)

    def _completed(self, step: Step, rows: Rows, whole: Mapping[str, int], questions_N: np.ndarray) -> Rows:
        """The rows with those of completed and of further groups."""
        if not whole and not len(questions_N):
            return rows
        others = rows.at([place for place, uid in enumerate(rows.uids) if uid not in whole])
        return others.joined(self.run.trainer.roll_out_more(step, questions_N, whole))

    def _without(self, step: Step, rows: Rows, stopping: set[str]) -> Rows:
        """The rows without those of stopped groups; what these have shown stays in the step."""
        if set(rows.uids) <= stopping:  # a step trains on something
            return rows
        stops_N = np.array([uid in stopping for uid in rows.uids])
        self.give_up(step, rows.at(np.flatnonzero(stops_N).tolist()))
        return rows.at(np.flatnonzero(~stops_N).tolist())

    def _account(
        self,
        step: Step,
        stopped: Sequence[Group],
        saved: int,
        alike: Sequence[float],
        rows: Rows,
        audited: set[str],
    ) -> None:
        begun, all_rollouts = len(self._size), sum(self._size.values())
        figures = {"stopped": len(stopped) / max(begun, 1), "saved": saved / max(all_rollouts, 1), "dropped_tokens": 0}
        if stopped:
            figures["expected_false_stops"] = 1 - float(np.mean(alike))
        groups = rows.groups(step.question_of)
        complete = [groups[uid].effective for uid in sorted(audited) if uid in groups]
        figures["audited"] = len(complete)
        if complete:
            figures["false_stops"] = float(np.mean(complete))
        self._figures |= {f"stop_early/{name}": float(value) for name, value in figures.items()}
