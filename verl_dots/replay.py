"""Rollout replay (arXiv 2506.05316, section 4): recent informative groups, kept packed on the driver.

A group is kept whole with the log-probs, temperature and step that it was sampled with. The tokens of its responses
lie one behind the other, so nothing is stored or copied for padding: 8 bytes a response token, and one bit where some
tokens do not count.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verl_dots.state import require_equal, require_keys

ROUNDING = 1e-5  # by which a log-prob may be above 0


class ReplayError(ValueError):
    """Rollouts that cannot be kept or are not there; the message names the group."""


@dataclass(frozen=True)
class Response:
    """One rollout as it was sampled.

    Attributes:
        tokens_T: [T] token ids.
        log_probs_T: [T] log-probs of the behaviour policy at its temperature.
        mask_T: [T] bool, tokens that the policy chose; None where all of them are.
        reward: as the reward function gave it.
    """

    tokens_T: np.ndarray
    log_probs_T: np.ndarray
    reward: float
    mask_T: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class ReplayGroup:
    """All rollouts of one question under one policy, packed; made by `pack`.

    Attributes:
        question: stable id, see `verl_dots.questions.question_id`.
        step: train step that it was rolled out in.
        temperature: that it was sampled at.
        prompt_N: int32 token ids of the prompt.
        lengths_G: int32 tokens of each response.
        rewards_G: float64.
        tokens_N: int32, all responses one behind the other.
        log_probs_N: float32, likewise.
        mask_bits: packed bits, likewise; empty where every token counts.
    """

    question: str
    step: int
    temperature: float
    prompt_N: np.ndarray
    lengths_G: np.ndarray
    rewards_G: np.ndarray
    tokens_N: np.ndarray
    log_probs_N: np.ndarray
    mask_bits: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths_G)

    @property
    def mean_reward(self) -> float:
        return float(self.rewards_G.mean())

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(getattr(self, name).nbytes for name in ARRAYS)

    def responses(self) -> list[Response]:
        """The rollouts in their order, views of the packed arrays."""
        ends = np.cumsum(self.lengths_G)
        masks: Sequence[np.ndarray | None] = [None] * len(self)
        if len(self.mask_bits):
            masks = np.split(np.unpackbits(self.mask_bits, count=len(self.tokens_N)).astype(bool), ends[:-1])
        parts = zip(np.split(self.tokens_N, ends[:-1]), np.split(self.log_probs_N, ends[:-1]), strict=True)
        return [
            Response(tokens_T, log_probs_T, float(reward), mask_T)
            for (tokens_T, log_probs_T), reward, mask_T in zip(parts, self.rewards_G, masks, strict=True)
        ]


ARRAYS = ("prompt_N", "lengths_G", "rewards_G", "tokens_N", "log_probs_N", "mask_bits")


def pack(
    question: str, step: int, temperature: float, prompt_N: np.ndarray, responses: Sequence[Response]
) -> ReplayGroup:
    """A group from its rollouts, checked.

    Raises:
        ReplayError: no responses, an empty one, log-probs or mask of another length than the response, log-probs that
            are not finite or above 0, a reward that is not finite.
    """
    name = f"group of question {question} (step {step})"
    if not responses:
        raise ReplayError(f"{name} has no responses")
    for place, response in enumerate(responses):
        _check(f"{name}, response {place}", response)
    if not np.isfinite(temperature) or temperature <= 0:
        raise ReplayError(f"{name}: temperature {temperature} must be above 0; what was sampled greedily has no ratio")
    tokens_N = np.concatenate([response.tokens_T for response in responses]).astype(np.int32)
    log_probs_N = np.concatenate([response.log_probs_T for response in responses]).astype(np.float32)
    masks = [np.ones(len(r.tokens_T), bool) if r.mask_T is None else np.asarray(r.mask_T, bool) for r in responses]
    mask_N = np.concatenate(masks)
    return ReplayGroup(
        question,
        step,
        float(temperature),
        np.array(prompt_N, dtype=np.int32),
        np.array([len(response.tokens_T) for response in responses], dtype=np.int32),
        np.array([response.reward for response in responses], dtype=np.float64),
        tokens_N,
        np.minimum(log_probs_N, 0),
        np.empty(0, np.uint8) if mask_N.all() else np.packbits(mask_N),
    )


def _check(name: str, response: Response) -> None:
    T = len(response.tokens_T)
    if T == 0:
        raise ReplayError(f"{name} is empty")
    for what in ("log_probs_T", "mask_T"):
        found = getattr(response, what)
        if found is not None and np.shape(found) != (T,):
            raise ReplayError(f"{name}: {what} has shape {np.shape(found)} for {T} tokens")
    log_probs_T = np.asarray(response.log_probs_T)
    bad = ~np.isfinite(log_probs_T) | (log_probs_T > ROUNDING)
    if bad.any():
        first = int(bad.argmax())
        raise ReplayError(
            f"{name}: log-prob {log_probs_T[first]} of token {first} must be finite and at most 0 "
            "(does the engine return log-probs? rollout.calculate_log_probs=True)"
        )
    if not np.isfinite(response.reward):
        raise ReplayError(f"{name}: reward {response.reward} is not finite")


# --- which groups are replayed -----------------------------------------------------------------------------------

# (candidates, how many, generator) -> positions of as many different candidates
Sampling = Callable[[Sequence[ReplayGroup], int, np.random.Generator], np.ndarray]


def uniform(candidates: Sequence[ReplayGroup], count: int, rng: np.random.Generator) -> np.ndarray:
    """The paper's: every group alike."""
    return rng.permutation(len(candidates))[:count]


def freshest(candidates: Sequence[ReplayGroup], count: int, rng: np.random.Generator) -> np.ndarray:
    """The newest groups, those of one step in random order."""
    return _least(np.array([-group.step for group in candidates], dtype=np.float64), count, rng)


@dataclass(frozen=True)
class Nearest:
    """Groups whose measured difficulty was nearest to a target, equally near ones in random order.

    Attributes:
        alpha: target adaptive difficulty.
        low, high: rewards of difficulty 1 and 0.
    """

    alpha: float
    low: float = 0.0
    high: float = 1.0

    def __call__(self, candidates: Sequence[ReplayGroup], count: int, rng: np.random.Generator) -> np.ndarray:
        reward = np.array([group.mean_reward for group in candidates])
        return _least(np.abs((self.high - reward) / (self.high - self.low) - self.alpha), count, rng)


def _least(key: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of the least keys, ties broken by the generator."""
    return np.lexsort((rng.permutation(len(key)), key))[:count]


# --- the buffer --------------------------------------------------------------------------------------------------


class ReplayBuffer:
    """First in, first out; at most one group per question, its newest; informative groups only.

    Args:
        capacity: C, groups.
        reward_range: least and greatest reward; a group is informative if its mean lies strictly between.
        max_age: steps after which a group is dropped; None keeps it until it is pushed out.
        sampling: which groups are replayed.
        rng: draws them; its state is part of the buffer's.

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
    ):
        if capacity < 1 or (max_age is not None and max_age < 1):
            raise ValueError(f"capacity={capacity} and max_age={max_age} must be 1 or more")
        self.capacity, self.reward_range, self.max_age = capacity, reward_range, max_age
        self.sampling, self.rng = sampling, rng
        self._groups: dict[str, ReplayGroup] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, question: str) -> bool:
        return question in self._groups

    def __getitem__(self, question: str) -> ReplayGroup:
        if question not in self._groups:
            raise ReplayError(f"no group of question {question} in the replay buffer; it holds {len(self)} others")
        return self._groups[question]

    @property
    def nbytes(self) -> int:
        """Bytes of all groups."""
        return sum(group.nbytes for group in self._groups.values())

    def put(self, groups: Iterable[ReplayGroup]) -> int:
        """Keep the informative ones of some groups, the oldest give way; returns how many were kept.

        A question's earlier group goes when a newer one comes, informative or not: the newer one is what the policy
        does now.

        Raises:
            ReplayError: a reward outside the range; nothing is kept.
        """
        groups = list(groups)
        low, high = self.reward_range
        for group in groups:
            outside = group.rewards_G[(group.rewards_G < low) | (group.rewards_G > high)]
            if len(outside):
                raise ReplayError(
                    f"group of question {group.question} (step {group.step}): reward {outside[0]} is outside "
                    f"dots.reward_range=[{low}, {high}]"
                )
        kept = 0
        for group in groups:
            self._groups.pop(group.question, None)
            if low < group.mean_reward < high:
                self._groups[group.question] = group
                kept += 1
        while len(self._groups) > self.capacity:
            del self._groups[next(iter(self._groups))]
        return kept

    def expire(self, step: int) -> int:
        """Drop what is more than `max_age` steps old at `step`; returns how many groups."""
        if self.max_age is None:
            return 0
        old = [name for name, group in self._groups.items() if step - group.step > self.max_age]
        for name in old:
            del self._groups[name]
        return len(old)

    def sample(self, count: int, exclude: Iterable[str] = ()) -> list[ReplayGroup]:
        """Up to `count` different groups, none of the excluded questions; they stay in the buffer."""
        without = set(exclude)
        candidates = [group for name, group in self._groups.items() if name not in without]
        chosen = self.sampling(candidates, min(count, len(candidates)), self.rng)
        return [candidates[place] for place in chosen]

    def state_dict(self) -> dict[str, Any]:
        groups = list(self._groups.values())
        packed = {name: [getattr(group, name) for group in groups] for name in ARRAYS}
        return {
            "rng": self.rng.bit_generator.state,
            "capacity": self.capacity,
            "questions": [group.question for group in groups],
            "steps": np.array([group.step for group in groups], dtype=np.int64),
            "temperatures": np.array([group.temperature for group in groups], dtype=np.float64),
            "sizes": {name: np.array([len(part) for part in parts], np.int64) for name, parts in packed.items()},
            "arrays": {name: np.concatenate(parts) for name, parts in packed.items() if parts},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("replay buffer", state, set(self.state_dict()))
        require_equal("dots.replay.capacity", state["capacity"], self.capacity)
        questions = state["questions"]
        columns = {
            name: np.split(state["arrays"][name], np.cumsum(state["sizes"][name])[:-1]) if questions else []
            for name in ARRAYS
        }
        groups = [
            ReplayGroup(
                question,
                int(state["steps"][place]),
                float(state["temperatures"][place]),
                **{name: columns[name][place].copy() for name in ARRAYS},
            )
            for place, question in enumerate(questions)
        ]
        self.rng.bit_generator.state = state["rng"]
        self._groups = {group.question: group for group in groups}
