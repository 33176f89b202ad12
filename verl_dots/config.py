"""The config group `dots`: typed, and validated before Ray starts.

Everything else in a run's config is verl's own (see conf/dots_trainer.yaml).
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, Self, get_args, get_type_hints

PREDICTORS = ("online", "attention")
CONFLICTS = ("drop", "error")
DEVICES = ("cpu", "cuda")
LAYERS = ("last", "all")
READS = ("question", "answer_and_question")


class ConfigError(ValueError):
    """A setting that cannot work; the message says which, what is allowed, and what to do."""


class Group:
    """A group of settings that can be built from plain values."""

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], name: str = "dots") -> Self:
        """Build from plain values.

        Raises:
            ConfigError: an unknown key (the nearest known one is named), a value of another type or range.
        """
        hints = get_type_hints(cls)
        values = {}
        for key, value in given.items():
            if key not in hints:
                raise ConfigError(unknown_key(f"{name}.{key}", [f"{name}.{known.name}" for known in fields(cls)]))
            values[key] = _typed(f"{name}.{key}", value, hints[key])
        return cls(**values)


@dataclass(frozen=True)
class SelectionConfig(Group):
    """DOTS: which questions are rolled out (arXiv 2506.05316, section 3).

    Attributes:
        enable: choose questions by difficulty; off, they come in verl's own order.
        references: K, questions drawn uniformly in every round and rolled out to measure their difficulty.
        alpha: target adaptive difficulty, 1 - mean reward.
        tau: temperature of the draw around `alpha`; 0 takes the nearest questions.
        mu: train batches chosen in one round.
        reuse_references: train on the rollouts of references with mixed outcomes in place of fresh ones (appendix A.1).
        conflicting_answers: what to do with questions that occur with different answers: "drop" leaves them out of
            the selection, "error" refuses the data.
        rho_floor: the predictions are given up for a while when their correlation with the references' measured
            difficulty, over the last `rho_rounds` rounds, is below this. -1 trusts them always.
        rho_rounds: rounds that the correlation is taken over.
        uniform_rounds: further rounds of uniform selection before the predictions get another chance.
    """

    enable: bool = False
    references: int = 256
    alpha: float = 0.5
    tau: float = 1e-3
    mu: int = 2
    reuse_references: bool = True
    conflicting_answers: str = "drop"
    rho_floor: float = 0.1
    rho_rounds: int = 4
    uniform_rounds: int = 4

    def __post_init__(self):
        _require("dots.selection.references", self.references, self.references >= 2, "must be 2 or more")
        _require("dots.selection.alpha", self.alpha, 0 <= self.alpha <= 1, "must be in [0, 1]")
        _require("dots.selection.tau", self.tau, self.tau >= 0, "must be 0 or more")
        _require("dots.selection.mu", self.mu, self.mu >= 1, "must be 1 or more")
        _choice("dots.selection.conflicting_answers", self.conflicting_answers, CONFLICTS)
        _require("dots.selection.rho_floor", self.rho_floor, -1 <= self.rho_floor <= 1, "must be in [-1, 1]")
        _require("dots.selection.rho_rounds", self.rho_rounds, self.rho_rounds >= 1, "must be 1 or more")
        _require("dots.selection.uniform_rounds", self.uniform_rounds, self.uniform_rounds >= 1, "must be 1 or more")


@dataclass(frozen=True)
class DifficultyConfig(Group):
    """How the difficulty of questions that were not rolled out is predicted.

    Attributes:
        predictor: "online" learns from this run alone; "attention" is the paper's model, trained beforehand with
            `python -m verl_dots.difficulty.train`.
        checkpoint: folder of the attention predictor.
        backbone: model whose frozen embeddings of the questions are the input: a folder or hub id. Any transformers
            model will do; the policy that training starts from is the default.
        layers: whose hidden states are averaged: of the "last" layer, or of "all" side by side (small models). A
            trained predictor knows its own; this is the online one's, as is `reads`.
        reads: what is embedded: the "question", or "answer_and_question".
        cache: folder in which embeddings are kept for later runs.
        device: where embeddings and predictor live: "cpu", or "cuda" for a share of the trainer's first GPU.
        batch_tokens: tokens that the backbone takes at once.
        half_life: age, in train steps, at which an observation counts half for the online predictor.
    """

    predictor: str = "online"
    checkpoint: str | None = None
    backbone: str | None = None
    layers: str = "last"
    reads: str = "question"
    cache: str = "~/.cache/verl_dots/embeddings"
    device: str = "cpu"
    batch_tokens: int = 16384
    half_life: float = 8.0

    def __post_init__(self):
        _choice("dots.difficulty.predictor", self.predictor, PREDICTORS)
        _choice("dots.difficulty.layers", self.layers, LAYERS)
        _choice("dots.difficulty.reads", self.reads, READS)
        _choice("dots.difficulty.device", self.device, DEVICES)
        _require("dots.difficulty.batch_tokens", self.batch_tokens, self.batch_tokens >= 1, "must be 1 or more")
        _require("dots.difficulty.half_life", self.half_life, self.half_life > 0, "must be above 0 steps")
        if self.predictor == "attention" and self.checkpoint is None:
            raise ConfigError(
                "dots.difficulty.predictor=attention needs dots.difficulty.checkpoint=FOLDER, a predictor trained with "
                "`python -m verl_dots.difficulty.train`; dots.difficulty.predictor=online needs none"
            )


@dataclass(frozen=True)
class DotsConfig(Group):
    """Settings of verl_dots; with the defaults a run is plain GRPO.

    Attributes:
        seed: of the whole run: order of the data, sampling of responses, mini-batches, selection. The same seed gives
            the same run on a CPU.
        poll_seconds: how often the trainer looks whether the rollouts of a step are complete.
        reward_range: least and greatest reward of a response; difficulty is 1 at the least and 0 at the greatest.
        selection: which questions are rolled out.
        difficulty: how their difficulty is predicted.
    """

    seed: int = 1
    poll_seconds: float = 0.05
    reward_range: tuple[float, float] = (0.0, 1.0)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)

    def __post_init__(self):
        _require("dots.seed", self.seed, 0 <= self.seed < 2**31, f"must be in 0..{2**31 - 1}")
        _require(
            "dots.poll_seconds",
            self.poll_seconds,
            0 < self.poll_seconds <= 60,
            "must be above 0 and at most 60 seconds",
        )
        low, high = self.reward_range
        _require(
            "dots.reward_range", [low, high], math.isfinite(high - low) and low < high, "must be [least, greatest]"
        )


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Message for a key that is not there: the nearest known one first, then all of them if they are few."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    listing = f" Known: {', '.join(known)}." if len(known) <= 30 else ""
    return f"unknown config key {key!r}{hint}{listing}"


def _require(key: str, value: Any, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{key}={value}: {rule}")


def _choice(key: str, value: str, allowed: tuple[str, ...]) -> None:
    _require(key, value, value in allowed, f"must be one of {', '.join(allowed)}")


def _typed(key: str, value: Any, kind: Any) -> Any:
    """`value` as `kind` (an int is a float too), or an error that shows both."""
    if is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{key}={value!r} is of type {type(value).__name__}; it must be a group of settings")
        return kind.from_mapping(value, key)
    if isinstance(kind, UnionType):
        return None if value is None else _typed(key, value, get_args(kind)[0])
    if get_args(kind):  # tuple[x, y]
        parts = get_args(kind)
        if not isinstance(value, list | tuple) or len(value) != len(parts):
            raise ConfigError(f"{key}={value!r}: must be a list of {len(parts)} values")
        return tuple(_typed(f"{key}[{place}]", part, parts[place]) for place, part in enumerate(value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"{key}={value!r} is of type {type(value).__name__}; it must be of type {kind.__name__}")
