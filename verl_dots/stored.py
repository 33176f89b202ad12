"""Groups of rollouts as they are kept for replay: packed, with what they were sampled with.

The tokens of a group's responses lie one behind the other, so nothing is stored or copied for padding: 8 bytes a
response token, and one bit where some tokens do not count.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from verl_dots.settings import LARGEST, Refusal
from verl_dots.state_values import ANY, COUNT, POSITIVE, Values, Within

ROUNDING = 1e-5  # by which a log-prob may be above 0


class ReplayError(Refusal):
    """Rollouts that cannot be kept or are not there; the message names the group."""


@dataclass(frozen=True)
class Response:
    """One rollout as it was sampled.

    Attributes:
        tokens_T: [T] token ids.
        log_probs_T: [T] log-probs of the behaviour policy at its temperature.
        reward: as the reward function gave it.
        mask_T: [T] bool, tokens that the policy chose; None where all of them are.
        turns: of the conversation, the question's included.
    """

    tokens_T: np.ndarray
    log_probs_T: np.ndarray
    reward: float
    mask_T: np.ndarray | None = None
    turns: int = 2


@dataclass(frozen=True, eq=False)
class ReplayGroup:
    """All rollouts of one question under one policy, packed; made by `pack`.

    Attributes:
        question: stable id, see `verl_dots.data.questions.question_id`.
        step: train step that it was rolled out in.
        temperature: that it was sampled at.
        prompt_N: int32 token ids of the prompt.
        lengths_G: int32 tokens of each response.
        rewards_G: float64.
        turns_G: int32 turns of each conversation.
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
    turns_G: np.ndarray
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
            Response(tokens_T, log_probs_T, float(reward), mask_T, int(turns))
            for (tokens_T, log_probs_T), reward, mask_T, turns in zip(
                parts, self.rewards_G, masks, self.turns_G, strict=True
            )
        ]


# Of a group -> its type, and what it holds.
ARRAYS = {
    "prompt_N": (np.int32, COUNT),
    "lengths_G": (np.int32, POSITIVE),
    "rewards_G": (np.float64, ANY),
    "turns_G": (np.int32, COUNT),
    "tokens_N": (np.int32, COUNT),
    "log_probs_N": (np.float32, Within(most=0)),
    "mask_bits": (np.uint8, ANY),
}
Requirement = Callable[[ReplayGroup], None]  # raises StateError for a group that the run cannot have sampled
GROUPS = {"questions", "steps", "temperatures", "sizes", "arrays"}  # keys of `groups_state`


def groups_state(groups: Sequence[ReplayGroup]) -> dict[str, Any]:
    """Groups as columns for a checkpoint, in their order; `groups_from_state` reads them."""
    packed = {name: [getattr(group, name) for group in groups] for name in ARRAYS}
    return {
        "questions": [group.question for group in groups],
        "steps": np.array([group.step for group in groups], dtype=np.int64),
        "temperatures": np.array([group.temperature for group in groups], dtype=np.float64),
        "sizes": {name: np.array([len(part) for part in parts], np.int64) for name, parts in packed.items()},
        "arrays": {name: np.concatenate(parts) for name, parts in packed.items() if parts},
    }


def groups_from_state(state: Mapping[str, Any], require: Requirement = lambda _: None) -> list[ReplayGroup]:
    """The groups that `groups_state` wrote.

    Raises:
        StateError: it holds what `groups_state` never writes, or what `require` refuses.
    """
    saved = Values("kept groups", state, GROUPS)
    questions = saved.texts("questions")
    steps = saved.array("steps", np.int64, (len(questions),), COUNT).tolist()
    temperatures = saved.array("temperatures", np.float64, (len(questions),), POSITIVE).tolist()
    sizes = Values("sizes of kept groups", saved.raw("sizes"), set(ARRAYS))
    arrays = Values("arrays of kept groups", saved.raw("arrays"), set(ARRAYS) if questions else set())
    columns = {}
    for name, (kind, within) in ARRAYS.items():
        size_N = sizes.array(name, np.int64, (len(questions),), Within(0, LARGEST // 2**32))
        if questions:
            columns[name] = np.split(arrays.array(name, kind, (int(size_N.sum()),), within), np.cumsum(size_N)[:-1])
    groups = [
        ReplayGroup(question, step, temperature, **{name: columns[name][place].copy() for name in ARRAYS})
        for place, (question, step, temperature) in enumerate(zip(questions, steps, temperatures, strict=True))
    ]
    for group in groups:
        if not _fits(group):
            raise sizes.wrong("tokens_N", f"those of whole responses, as lengths_G of question {group.question} says")
        require(group)
    return groups


def _fits(group: ReplayGroup) -> bool:
    """Whether its arrays are of the same responses and tokens."""
    responses, tokens = len(group.lengths_G), int(group.lengths_G.sum())
    sizes = (len(group.rewards_G), len(group.turns_G), len(group.tokens_N), len(group.log_probs_N))
    mask = len(group.mask_bits) in (0, -(-tokens // 8))
    return responses > 0 and sizes == (responses, responses, tokens, tokens) and mask


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
        raise ReplayError(f"{name} has no responses", key=name, reason="missing")
    for place, response in enumerate(responses):
        _check(f"{name}, response {place}", response)
    if not np.isfinite(temperature) or temperature <= 0:
        text = f"{name}: temperature {temperature} must be above 0; what was sampled greedily has no ratio"
        raise ReplayError(text, key="temperature", reason="range")
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
        np.array([response.turns for response in responses], dtype=np.int32),
        tokens_N,
        np.minimum(log_probs_N, 0),
        np.empty(0, np.uint8) if mask_N.all() else np.packbits(mask_N),
    )


def _check(name: str, response: Response) -> None:
    T = len(response.tokens_T)
    if T == 0:
        raise ReplayError(f"{name} is empty", key=name, reason="missing")
    for what in ("log_probs_T", "mask_T"):
        found = getattr(response, what)
        if found is not None and np.shape(found) != (T,):
            raise ReplayError(f"{name}: {what} has shape {np.shape(found)} for {T} tokens", key=what, reason="size")
    log_probs_T = np.asarray(response.log_probs_T)
    bad = ~np.isfinite(log_probs_T) | (log_probs_T > ROUNDING)
    if bad.any():
        first = int(bad.argmax())
        raise ReplayError(
            f"{name}: log-prob {log_probs_T[first]} of token {first} must be finite and at most 0 "
            "(does the engine return log-probs? rollout.calculate_log_probs=True)",
            key="log-prob",
            reason="range",
        )
    if not np.isfinite(response.reward):
        raise ReplayError(f"{name}: reward {response.reward} is not finite", key="reward", reason="range")
