"""What a caller asks the engine for, and what it gets back.

A request is validated when it is made, so that a bad one raises for its caller alone and never
reaches the batch of the others.
"""

import difflib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST = 2**63 - 1  # of 64 bits, which the engine's arrays have


class BadRequest(ValueError):
    """A request that cannot be served; concerns only the request that caused it."""


@dataclass(frozen=True)
class SamplingParams:
    """How the tokens of one response are drawn.

    Attributes:
        max_tokens: most tokens to generate, at least 1.
        temperature: divides the logits; 0 takes the most likely token.
        top_p: keep the smallest set of tokens whose probability reaches this; in (0, 1].
        top_k: keep this many most likely tokens; -1 or 0 keeps all.
        seed: seed of this response's random numbers; None lets the engine derive it.
        rollout_index: which of several responses to the same prompt this is (the engine's derived
            seeds differ by it); None counts them in order of admission.
        stop_token_ids: tokens that end the response, beside the model's own end-of-sequence tokens.
        ignore_eos: go on past the model's end-of-sequence tokens.
        logprobs: return the log-probability of every token.
        repetition_penalty: accepted for the callers that always send it, and must be 1: with another
            value the log-probabilities would not be those of the policy.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = -1
    seed: int | None = None
    rollout_index: int | None = None
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: bool = True
    repetition_penalty: float = 1.0

    def __post_init__(self):
        checks = [
            ("max_tokens", _is_int(self.max_tokens) and self.max_tokens >= 1, "an integer of at least 1"),
            ("temperature", _is_finite(self.temperature) and self.temperature >= 0, "a finite number of at least 0"),
            ("top_p", _is_finite(self.top_p) and 0 < self.top_p <= 1, "a number in (0, 1]"),
            ("top_k", _is_int(self.top_k) and self.top_k >= -1, "-1 or 0 (all tokens) or an integer in 1..2^63-1"),
            ("seed", self.seed is None or (_is_int(self.seed) and self.seed >= 0), "null or 0..2^63-1"),
            ("rollout_index", self.rollout_index is None or _is_int(self.rollout_index), "null or an integer"),
            ("stop_token_ids", all(_is_int(token) for token in self.stop_token_ids), "a list of token ids"),
            ("repetition_penalty", self.repetition_penalty == 1.0, "1 (this engine samples from the policy itself)"),
        ]
        for name, good, allowed in checks:
            if not good:
                raise BadRequest(f"sampling parameter {name}={getattr(self, name)!r}: must be {allowed}")

    @classmethod
    def from_mapping(cls, params: Mapping[str, Any], default_max_tokens: int) -> "SamplingParams":
        """Read a verl-style dict of sampling parameters; `max_new_tokens` is another name of `max_tokens`.

        Raises:
            BadRequest: an unknown name (the nearest known one is suggested) or a value out of range.
        """
        given = dict(params)
        if "max_new_tokens" in given:
            given.setdefault("max_tokens", given.pop("max_new_tokens"))
            given.pop("max_new_tokens", None)
        if given.get("max_tokens") is None:
            given["max_tokens"] = default_max_tokens
        for name in given:
            if name not in cls.__dataclass_fields__:
                near = difflib.get_close_matches(name, cls.__dataclass_fields__, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                known = ", ".join(cls.__dataclass_fields__)
                raise BadRequest(f"unknown sampling parameter {name!r}{hint} (known: {known})")
        given["stop_token_ids"] = tuple(given.get("stop_token_ids") or ())
        given["logprobs"] = given.get("logprobs", True) not in (None, False)
        return cls(**given)


@dataclass(frozen=True)
class Request:
    """One prompt to be continued. `prompt_ids` are token ids, at least one."""

    request_id: str
    prompt_ids: tuple[int, ...]
    params: SamplingParams


@dataclass(frozen=True)
class Completion:
    """The engine's answer to one request.

    Attributes:
        token_ids: generated tokens, the ending token included.
        log_probs: natural log-probability of each token under softmax(logits / temperature) over the
            whole vocabulary (top-p and top-k restrict what is drawn, not what is reported, so that the
            figures equal those that the actor recomputes); at temperature 0, those of temperature 1.
        stop_reason: "completed" (an ending token), "length" (max_tokens) or "aborted".
        weights_version: version of the weights that generated it.
    """

    request_id: str
    token_ids: list[int]
    log_probs: list[float] | None
    stop_reason: str
    weights_version: int | None = None


@dataclass
class SeedBook:
    """Derives the seed of a request that brings none, so that order of arrival does not matter.

    The seed is a hash of (engine seed, weights version, prompt, index of the response). A request that
    does not say which response of its prompt it is gets the next index in order of admission: the set of a
    prompt's responses is then still the same in every run, only who gets which may differ.
    """

    engine_seed: int
    admitted: dict[bytes, int] = field(default_factory=dict)

    def seed_of(self, prompt_ids: Sequence[int], params: SamplingParams, version: int | None) -> int:
        """Returns the request's seed in 0..2^63-1."""
        if params.seed is not None:
            return params.seed
        prompt = hashlib.blake2b(np.asarray(prompt_ids, dtype=np.int64).tobytes(), digest_size=16).digest()
        index = params.rollout_index
        if index is None:
            index = self.admitted.get(prompt, 0)
            self.admitted[prompt] = index + 1
        key = f"{self.engine_seed}|{version}|{index}|".encode() + prompt
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") & MOST

    def new_version(self) -> None:
        """Forget who was admitted: a new weights version starts its own count."""
        self.admitted.clear()


def _is_int(value: Any) -> bool:
    """Whether a value is an int of 64 bits."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and -MOST <= value <= MOST


def _is_finite(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, float | np.floating) and math.isfinite(value))
