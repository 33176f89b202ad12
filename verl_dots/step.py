"""The data types of a train step: what it is, its groups of rollouts, and where each group comes from."""

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

NAMED = "step"  # what names of groups begin with


class Origin(Enum):
    """Where the rollouts of a group come from; set once, when they come into a step.

    FRESH: sampled in this step, for it; in an asynchronous mode in it or an earlier one, for whichever takes it.
    REFERENCE: sampled in this step to measure difficulties, and trained on as well.
    CACHED: sampled ahead by an earlier step; none has trained on them.
    REPLAYED: sampled by an earlier step, and trained on before.
    """

    FRESH = "fresh"
    REFERENCE = "reference"
    CACHED = "cached"
    REPLAYED = "replayed"

    @property
    def own(self) -> bool:
        """Whether this step has sampled them, or was the first to take them: they are its cost of generation.

        Their behaviour policy is the current one, but for an asynchronous mode, where it may be older.
        """
        return self in (Origin.FRESH, Origin.REFERENCE)

    @property
    def new(self) -> bool:
        """Whether no step has trained on them: what they show of a question has not been taken in yet."""
        return self is not Origin.REPLAYED


def effective(rewards_G: Sequence[float] | np.ndarray) -> bool:
    """Whether the rewards of a group differ: with equal ones every advantage is 0, whatever the rewards are.

    With rewards of 0 and 1 this is 0 < mean reward < 1, as arXiv 2506.05316 has it. Eight rewards of 0.5 have that
    mean, too, and teach nothing.

    Args:
        rewards_G: [G] rewards of all rollouts of a question.

    Raises:
        ValueError: no rewards.
    """
    rewards_G = np.asarray(rewards_G, dtype=np.float64)
    if not rewards_G.size:
        raise ValueError("a group without rollouts is neither effective nor not; give one reward or more")
    return bool(rewards_G.max() > rewards_G.min())


def effective_share(rate_P: np.ndarray, tries: int) -> np.ndarray:
    """1 - p^n - (1 - p)^n [P]: how often the rewards of n tries differ (arXiv 2506.05316, section 3); of one, never.

    rate_P: [P] success rates p, or difficulties 1 - p; an array or a tensor. Raises ValueError for no tries.
    """
    if tries < 1:
        raise ValueError(f"{tries} tries have no rewards; give one or more")
    return 1 - rate_P**tries - (1 - rate_P) ** tries


def difficulty(mean_reward: float, reward_range: tuple[float, float], what: str = "a group") -> float:
    """Adaptive difficulty of a question: 1 at the least reward, 0 at the greatest (arXiv 2506.05316, section 3.1).

    Raises:
        ValueError: the reward is outside the range by more than rounding.
    """
    low, high = reward_range
    found = (high - mean_reward) / (high - low)
    if not -1e-6 <= found <= 1 + 1e-6:
        raise ValueError(
            f"{what}: mean reward {mean_reward} is outside dots.reward_range=[{low}, {high}]; set it to the least and "
            "greatest reward that the reward function gives"
        )
    return min(max(found, 0.0), 1.0)


@dataclass(frozen=True)
class Group:
    """All rollouts of one question under one policy version.

    Attributes:
        uid: its name in the step.
        rewards: [G], in the order of the sessions.
        origin: where the rollouts come from.
        sampled: step that sampled them.
        question: number of the question, where the run knows it; else -1.
    """

    uid: str
    rewards: tuple[float, ...]
    origin: Origin = Origin.FRESH
    sampled: int = 0
    question: int = -1

    @property
    def size(self) -> int:
        return len(self.rewards)

    @property
    def mean_reward(self) -> float:
        return sum(self.rewards) / len(self.rewards)

    @property
    def effective(self) -> bool:
        """Whether the rewards differ."""
        return effective(self.rewards)


@dataclass
class Step:
    """A train step, from its plan to its update.

    Attributes:
        number: from 1.
        temperature: that its own rollouts are sampled at.
        target: adaptive difficulty that its questions should have.
        metrics: of the step so far, by name.
        timing: seconds of its parts so far, verl's.
        question_of: uid -> number of the question, of all groups of the step; empty where no method knows questions.
        batch_of: uid -> which of the batches that are rolled out at once; 0 is trained on in this step.
        predicted: question -> difficulty that the source predicts, as far as it does.
        forecast: question -> difficulty that was predicted as it was asked for, of the groups that the step takes; None
            where a step takes what it has planned itself.
        uniform: questions that the source drew uniformly for the step, whatever its target.
        in_flight: questions that earlier steps have asked for, of which this one or a later one trains on the rollouts.
        groups: by uid, once all rollouts are there.
        dropped: groups that the step has rolled out and gives up, whatever their rollouts have shown.
        unbiased: uid -> what stands for the mean reward of a group in `mean_reward`: where which groups got all their
            rollouts depends on the first ones, the groups' own means are too far out.
        spared: keys of the rows that no forward pass of the proximal policy took; what stands in is not its.
        other_tokens: response tokens that the step has sampled and does not train on.
        other_rollouts: rollouts that they are of.
    """

    number: int
    temperature: float = 1.0
    target: float = 0.5
    metrics: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, float] = field(default_factory=dict)
    question_of: dict[str, int] = field(default_factory=dict)
    batch_of: dict[str, int] = field(default_factory=dict)
    predicted: Mapping[int, float] = field(default_factory=dict)
    forecast: Mapping[int, float] | None = None
    uniform: Set[int] = field(default_factory=frozenset)
    in_flight: Set[int] = field(default_factory=frozenset)
    groups: dict[str, Group] = field(default_factory=dict)
    dropped: list[Group] = field(default_factory=list)
    unbiased: dict[str, float] = field(default_factory=dict)
    spared: Set[str] = field(default_factory=frozenset)
    other_tokens: int = 0
    other_rollouts: int = 0

    @property
    def forwarded(self) -> bool:
        """Whether the forward pass of the proximal policy took every row."""
        return not self.spared

    @property
    def new(self) -> list[Group]:
        """Groups that no step has trained on before, those that it gives up among them: what methods learn from."""
        return [*self.new_in_batch, *self.dropped]

    @property
    def new_in_batch(self) -> list[Group]:
        """Those of them that the step trains on."""
        return [group for group in self.groups.values() if group.origin.new]

    @property
    def chosen(self) -> list[Group]:
        """New groups of questions that the step chose.

        Of the references only those are trained on whose rewards differ. What these show stands neither for the
        questions that were chosen nor for all questions.
        """
        return [group for group in self.new if group.origin is not Origin.REFERENCE]

    @property
    def aimed(self) -> list[Group]:
        """Those of them whose questions were chosen at the step's target."""
        return [group for group in self.chosen if group.question not in self.uniform]

    @property
    def mean_reward(self) -> float:
        """Mean reward of these, each counting once; raises ValueError where there are none."""
        return mean_reward(self.aimed, self.unbiased)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the seconds of a part of the step to `timing`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timing[name] = self.timing.get(name, 0.0) + time.perf_counter() - began

    def name(self, kind: str, number: int) -> str:
        """A uid: unique in the run, in the order of the batch, and without the "_" at which verl splits keys."""
        return f"{NAMED}{self.number:07d}-{kind}{number:06d}"

    @staticmethod
    def named(name: str) -> bool:
        """Whether a step has given this name, or that of the group whose rollout it names; verl's are hexadecimal."""
        return name.startswith(NAMED)


def columns(groups: Sequence[Group]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N] question, mean reward and size of each group."""
    questions_N = np.array([group.question for group in groups], dtype=np.int64)
    rewards_N = np.array([group.mean_reward for group in groups], dtype=np.float64)
    return questions_N, rewards_N, np.array([group.size for group in groups], dtype=np.int64)


def mean_reward(groups: Sequence[Group], instead: Mapping[str, float] | None = None) -> float:
    """Mean of the groups' mean rewards: every question counts once, however many rollouts it has.

    Args:
        instead: uid -> what stands for a group's mean reward.

    Raises:
        ValueError: no groups.
    """
    if not groups:
        raise ValueError("no groups have no mean reward; give one or more")
    return float(np.mean([(instead or {}).get(group.uid, group.mean_reward) for group in groups]))


def outcomes(groups: Sequence[Group], reward_range: tuple[float, float]) -> dict[str, float]:
    """Metrics of a step: mean reward, share of groups whose rewards differ, that all have the least or the greatest."""
    if not groups:
        return {}
    low, high = reward_range
    rounding = 1e-6 * (high - low)  # rewards travel in single precision
    shares = {
        "effective": [group.effective for group in groups],
        "all_wrong": [max(group.rewards) <= low + rounding for group in groups],
        "all_right": [min(group.rewards) >= high - rounding for group in groups],
    }
    found = {f"training/{name}_groups": sum(share) / len(groups) for name, share in shares.items()}
    return {"training/reward": mean_reward(groups)} | found
