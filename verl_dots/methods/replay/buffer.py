"""The replay buffer: recent effective groups, first in, first out (arXiv 2506.05316, section 4)."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from verl_dots.methods.replay.sampling import Sampling
from verl_dots.state_values import Values
from verl_dots.step import effective
from verl_dots.stored import GROUPS, ReplayError, ReplayGroup, Requirement, groups_from_state, groups_state

# Share of the rewards' range by which one may lie outside it: engines give them in float32.
ROUNDING = 1e-6


class ReplayBuffer:
    """First in, first out; effective groups only.

    Args:
        capacity: C, groups.
        reward_range: least and greatest reward; one outside it, by more than rounding, is refused.
        max_age: steps after which a group is dropped; None keeps it until it is pushed out.
        sampling: which groups are replayed.
        rng: draws them; its state is part of the buffer's.
        newest_only: keep one group of a question, its newest; else all of them.

    Raises:
        ValueError: capacity or max_age below 1.
    """

    def __init__(
        self,
        capacity: int,
        reward_range: tuple[float, float],
        max_age: int | None,
        sampling: Sampling,
        rng: np.random.Generator,
        newest_only: bool = True,
    ):
        if capacity < 1 or (max_age is not None and max_age < 1):
            raise ValueError(f"capacity={capacity} and max_age={max_age} must be 1 or more")
        self.capacity, self.reward_range, self.max_age = capacity, reward_range, max_age
        self.sampling, self.rng, self.newest_only = sampling, rng, newest_only
        self._groups: list[ReplayGroup] = []  # oldest first

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, question: str) -> bool:
        return any(group.question == question for group in self._groups)

    def __getitem__(self, question: str) -> ReplayGroup:
        """The newest group of a question."""
        for group in reversed(self._groups):
            if group.question == question:
                return group
        text = f"no group of question {question} in the replay buffer; it holds {len(self)} others"
        raise ReplayError(text, key=question, reason="missing")

    @property
    def nbytes(self) -> int:
        """Bytes of all groups."""
        return sum(group.nbytes for group in self._groups)

    def put(self, groups: Iterable[ReplayGroup]) -> int:
        """Keep the effective ones of some groups, the oldest give way; returns how many were kept.

        With `newest_only` a question's earlier group is dropped when a newer one comes, effective or not: the newer one
        is what the policy does now.

        Raises:
            ReplayError: a reward outside the range; nothing is kept.
        """
        groups = list(groups)
        for group in groups:
            outside = self._outside(group)
            if len(outside):
                raise ReplayError(
                    f"group of question {group.question} (step {group.step}): reward {outside[0]} is outside "
                    f"dots.reward_range={list(self.reward_range)}",
                    key="dots.reward_range",
                    reason="range",
                )
        learns = [effective(group.rewards_G) for group in groups]
        last = {group.question: place for place, group in enumerate(groups)}  # a question's newest
        self.forget(last)
        new = zip(groups, learns, strict=True)
        self._groups += [
            group
            for place, (group, kept) in enumerate(new)
            if kept and (not self.newest_only or last[group.question] == place)
        ]
        self._groups = self._groups[-self.capacity :]
        return sum(learns)

    def _outside(self, group: ReplayGroup) -> np.ndarray:
        """Rewards of a group that are outside of the range."""
        low, high = self.reward_range
        rounding = ROUNDING * (high - low)
        return group.rewards_G[(group.rewards_G < low - rounding) | (group.rewards_G > high + rounding)]

    def forget(self, questions: Iterable[str]) -> None:
        """With `newest_only`, drop the groups of questions of which a newer one came that is not kept."""
        if self.newest_only:
            known = set(questions)
            self._groups = [group for group in self._groups if group.question not in known]

    def expire(self, step: int) -> int:
        """Drop what is more than `max_age` steps old at `step`; returns how many groups."""
        if self.max_age is None:
            return 0
        held = len(self)
        self._groups = [group for group in self._groups if step - group.step <= self.max_age]
        return held - len(self)

    def sample(self, count: int, exclude: Iterable[str] = (), target: float = 0.5) -> list[ReplayGroup]:
        """Up to `count` different groups, none of the excluded questions; they stay in the buffer.

        Args:
            target: adaptive difficulty that the step aims at.
        """
        without = set(exclude)
        candidates = [group for group in self._groups if group.question not in without]
        chosen = self.sampling(candidates, min(count, len(candidates)), target, self.rng)
        return [candidates[place] for place in chosen]

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": self.rng.bit_generator.state,
            "capacity": self.capacity,
            "reward_range": list(self.reward_range),
            **groups_state(self._groups),
        }

    def load_state_dict(self, state: Mapping[str, Any], require: Requirement = lambda _: None) -> None:
        """Take over such a state.

        Raises:
            StateError: it is of other settings, or has groups that `put` would not have left or that `require` refuses.
        """
        saved = Values("replay buffer", state, {"rng", "capacity", "reward_range", *GROUPS})
        saved.same("capacity", "dots.replay.capacity", self.capacity)
        saved.same("reward_range", "dots.reward_range", list(self.reward_range))
        groups = groups_from_state({name: saved.raw(name) for name in GROUPS}, require)
        rng = saved.generator("rng", self.rng)
        names = [group.question for group in groups]
        if len(names) > self.capacity or self.newest_only and len(set(names)) < len(names):
            once = ", each once" if self.newest_only else ""
            raise saved.wrong("questions", f"those of at most {self.capacity} groups{once}")
        for group in groups:
            if len(self._outside(group)) or not effective(group.rewards_G):
                rule = f"rewards in {list(self.reward_range)} that differ (question {group.question})"
                raise saved.wrong("rewards_G", rule, group.rewards_G.tolist())
        self._groups, self.rng.bit_generator.state = groups, rng
