"""`compute_score`, the reward function verl calls for every response.

Set in verl's configuration:

    reward.custom_reward_function.path: pkg://verl_dots.rewards.compute
    reward.custom_reward_function.name: compute_score
    reward.custom_reward_function.reward_kwargs: {math_timeout_seconds: 5.0}   # optional

The `data_source` column of a data set picks the scorer out of `SCORERS`. To add one, call
`register("my_source", scorer)` in a module that every Ray process imports (name it in the
environment variable VERL_USE_EXTERNAL_MODULES), or add a line to the dict below. A scorer takes
(response, ground truth, options) and returns a score; it runs in a thread, several at a time, unless it is `quick`.
A source that is not in the dict is scored by verl's own function, if verl knows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from verl_dots.rewards import by_verl, exact, mathematics

LONGEST_GRADING_SECONDS = 10**6
MOST_WORKERS = 1024
WHOLE_BELOW = 2**53  # floats from here on may stand for another integer


@dataclass(frozen=True)
class ScoringOptions:
    """Settings that arrive as `reward_kwargs`."""

    math_timeout_seconds: float = mathematics.DEFAULT_TIMEOUT_SECONDS
    """Seconds for comparing one mathematical answer; past them it is wrong."""
    math_workers: int = mathematics.DEFAULT_WORKERS
    """Worker processes for mathematics in each of verl's reward workers."""

    def __post_init__(self):
        seconds, workers = self.math_timeout_seconds, self.math_workers
        if not _is_number(seconds) or not 0 < seconds <= LONGEST_GRADING_SECONDS:
            words = f"must be a number of seconds above 0 and at most {LONGEST_GRADING_SECONDS}"
            raise ValueError(f"math_timeout_seconds={seconds!r}: {words}")
        if not _is_number(workers) or workers != int(workers) or not 1 <= workers <= MOST_WORKERS:
            raise ValueError(f"math_workers={workers!r}: must be a whole number in 1..{MOST_WORKERS}")


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -(2**63) < value < 2**63  # neither NaN nor infinite, nor too large for a float


PATH = f"pkg://{__name__}"
"""This module as reward.custom_reward_function.path names it."""

Scorer = Callable[[str, str, ScoringOptions], float]


def _score_exact(response: str, ground_truth: str, options: ScoringOptions) -> float:
    return exact.score(response, ground_truth)


def _score_mathematics(response: str, ground_truth: str, options: ScoringOptions) -> float:
    return mathematics.score(response, ground_truth, options.math_timeout_seconds, options.math_workers)


def _score_measurements(response: str, ground_truth: str, options: ScoringOptions) -> float:
    """As mathematics, but numbers are equal within 1e-4, relatively: they are measured or rounded."""
    return mathematics.score(response, ground_truth, options.math_timeout_seconds, options.math_workers, measured=True)


SCORERS: dict[str, Scorer] = {
    "arithmetic": _score_exact,
    "ladder": _score_exact,
    "word_problems": _score_exact,
    # Training sets
    "math": _score_mathematics,
    "deepscaler": _score_mathematics,
    "orz": _score_mathematics,
    "deepmath": _score_mathematics,
    "DigitalLearningGmbH/MATH-lighteval": _score_mathematics,
    "lighteval/MATH": _score_mathematics,
    # Evaluation sets
    "gsm8k": _score_mathematics,
    "math500": _score_mathematics,
    "HuggingFaceH4/MATH-500": _score_mathematics,
    "minerva": _score_measurements,
    "olympiadbench": _score_mathematics,
    "aime24": _score_mathematics,
    "aime25": _score_mathematics,
    "amc23": _score_mathematics,
}


# Scorers that take microseconds and need no process: a response is scored where it arrives.
QUICK: set[Scorer] = {_score_exact}


def is_quick(data_source: str) -> bool:
    """Whether responses to questions of a source may be scored in an event loop."""
    return SCORERS.get(data_source) in QUICK


# What a scorer says of ground truths; one that is not here is not asked.
READERS: dict[Scorer, Callable[[str], tuple[str, str] | None]] = {
    _score_exact: exact.answer_problem,
    _score_mathematics: mathematics.answer_problem,
    _score_measurements: partial(mathematics.answer_problem, measured=True),
}


def is_right_or_wrong(data_source: str) -> bool:
    """Whether responses to questions of a source have the reward 0 or 1."""
    return SCORERS.get(data_source) in READERS


def register(data_source: str, scorer: Scorer, quick: bool = False) -> None:
    """Score responses to questions of `data_source` with `scorer`.

    Args:
        quick: it takes microseconds; it is then called where the response is, not in a thread of a reward worker.

    Raises:
        ValueError: the source already has a scorer.
    """
    if data_source in SCORERS:
        raise ValueError(f"data source {data_source!r} already has a scorer; choose another name or edit SCORERS.")
    SCORERS[data_source] = scorer
    if quick:
        QUICK.add(scorer)


REPORTED = ("score", "acc")
"""What `compute_score` returns, by name."""


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str | int | float | dict,
    extra_info: dict | None = None,
    **kwargs: Any,
) -> dict[str, float]:
    """Score one response. The signature is verl's.

    Returns:
        {"score": the reward, "acc": 1.0 if the answer is right, else 0.0}, always these keys.

    Raises:
        TypeError: an unknown keyword (a misspelt reward_kwargs entry), or a ground truth that
            is neither text nor a number (nor a dict, where verl's own function scores).
        ValueError: neither verl_dots nor verl has a scorer for `data_source`.
    """
    options = options_of(kwargs)
    if (problem := truth_problem(data_source, ground_truth)) is not None:
        raise TypeError(f"{problem}. Fix reward_model.ground_truth in the data set.")
    scorer = SCORERS.get(data_source)
    if scorer is None:
        truth = ground_truth if isinstance(ground_truth, dict) else _text(ground_truth)
        return _score_by_verl(data_source, solution_str, truth, extra_info, kwargs)
    score = scorer(solution_str, _text(ground_truth), options)
    return {"score": score, "acc": float(score >= 1.0)}


def _text(ground_truth: str | float) -> str:
    """A ground truth as text: 7.0 as 7, for a column of numbers with one gap, or of decimals too, has no integers."""
    whole = isinstance(ground_truth, float) and ground_truth.is_integer() and abs(ground_truth) < WHOLE_BELOW
    return str(int(ground_truth) if whole else ground_truth)


# What is asked of data before a run; see `RewardChecks` in data/checks.py.


def source_problem(data_source: str) -> str | None:
    """What keeps every response to questions of a source from being scored, or None."""
    if data_source in SCORERS:
        return None
    problem = by_verl.problem(data_source)
    # Asking verl imports it, and with it the modules of VERL_USE_EXTERNAL_MODULES: they may just have registered it.
    return None if data_source in SCORERS else problem


def truth_problem(data_source: str, ground_truth: Any) -> str | None:
    """Why `compute_score` raises on a ground truth, or None. Some of verl's own functions read a dict, ours do not."""
    allowed = "text or a number" if data_source in SCORERS else "text, a number or a dict"
    if isinstance(ground_truth, str | int) and not isinstance(ground_truth, bool):
        return None
    if isinstance(ground_truth, float) and math.isfinite(ground_truth):
        return None
    if isinstance(ground_truth, dict) and data_source not in SCORERS:
        return None
    kind = type(ground_truth).__name__
    return f"ground truth of a {data_source!r} question is {ground_truth!r:.80} ({kind}); it must be {allowed}"


def reads_answers(data_source: str) -> bool:
    """Whether the scorer of a source can say which answers it reads; what verl itself scores is not asked."""
    return SCORERS.get(data_source) in READERS


def answer_problem(data_source: str, ground_truth: str) -> tuple[str, str] | None:
    """Why right responses may score 0 against a ground truth: one of `problems.KINDS` and a message, or None."""
    reader = READERS.get(SCORERS.get(data_source))
    return None if reader is None else reader(ground_truth)


def options_of(kwargs: dict[str, Any]) -> ScoringOptions:
    """The settings among the arguments of `compute_score` that come from `reward_kwargs`.

    Raises:
        TypeError: an entry is unknown.
        ValueError: an entry has a value that cannot work.
    """
    known = [field.name for field in fields(ScoringOptions)]
    unknown = sorted(set(kwargs) - set(known) - by_verl.KWARGS)
    if unknown:
        raise TypeError(
            f"reward_kwargs has unknown entries {unknown}; known: {known}. "
            "Correct reward.custom_reward_function.reward_kwargs."
        )
    return ScoringOptions(**{name: kwargs[name] for name in known if name in kwargs})


def _score_by_verl(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: dict | None, kwargs: dict[str, Any]
) -> dict[str, float]:
    """Score by verl's own function; see `by_verl.score`."""
    try:
        return by_verl.score(data_source, solution_str, ground_truth, extra_info, kwargs)
    except NotImplementedError as error:
        raise ValueError(
            f"no reward function for data source {data_source!r}. verl_dots knows {sorted(SCORERS)}; verl's own "
            "function does not know it either. Rename the data_source column, or add a scorer with "
            "verl_dots.rewards.compute.register."
        ) from error
