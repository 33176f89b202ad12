"""`compute_score`, the reward function verl calls for every response.

Set in verl's configuration:

    reward.custom_reward_function.path: pkg://verl_dots.rewards.compute
    reward.custom_reward_function.name: compute_score
    reward.custom_reward_function.reward_kwargs: {math_timeout_seconds: 5.0}   # optional

The `data_source` column of a data set picks the scorer out of `SCORERS`. To add one, call
`register("my_source", scorer)` in a module that every Ray process imports (name it in the
environment variable VERL_USE_EXTERNAL_MODULES), or add a line to the dict below. A scorer takes
(response, ground truth, options) and returns a score; it runs in a thread, several at a time.
A source that is not in the dict is scored by verl's own function, if verl knows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from verl_dots.rewards import exact, mathematics


@dataclass(frozen=True)
class ScoringOptions:
    """Settings that arrive as `reward_kwargs`."""

    math_timeout_seconds: float = mathematics.DEFAULT_TIMEOUT_SECONDS
    """Seconds for comparing one mathematical answer; past them it is wrong."""
    math_workers: int = mathematics.DEFAULT_WORKERS
    """Worker processes for mathematics in each of verl's reward workers."""


Scorer = Callable[[str, str, ScoringOptions], float]

# What verl itself passes or what its own reward functions accept.
VERL_KWARGS = frozenset(
    {
        "reward_router_address",
        "reward_model_tokenizer",
        "sandbox_fusion_url",
        "concurrent_semaphore",
        "memory_limit_mb",
    }
)


def _score_exact(response: str, ground_truth: str, options: ScoringOptions) -> float:
    return exact.score(response, ground_truth)


def _score_mathematics(response: str, ground_truth: str, options: ScoringOptions) -> float:
    return mathematics.score(response, ground_truth, options.math_timeout_seconds, options.math_workers)


SCORERS: dict[str, Scorer] = {
    "arithmetic": _score_exact,
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
    "minerva": _score_mathematics,
    "olympiadbench": _score_mathematics,
    "aime24": _score_mathematics,
    "aime25": _score_mathematics,
    "amc23": _score_mathematics,
}


# Whether a scorer can read a ground truth; one that is not here is not asked.
READERS: dict[Scorer, Callable[[str], bool]] = {_score_exact: exact.readable, _score_mathematics: mathematics.readable}


def register(data_source: str, scorer: Scorer) -> None:
    """Score responses to questions of `data_source` with `scorer`.

    Raises:
        ValueError: the source already has a scorer.
    """
    if data_source in SCORERS:
        raise ValueError(f"data source {data_source!r} already has a scorer; choose another name or edit SCORERS.")
    SCORERS[data_source] = scorer


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str | int | float,
    extra_info: dict | None = None,
    **kwargs: Any,
) -> dict[str, float]:
    """Score one response. The signature is verl's.

    Returns:
        {"score": the reward, "acc": 1.0 if the answer is right, else 0.0}, always these keys.

    Raises:
        TypeError: an unknown keyword (a misspelt reward_kwargs entry), or a ground truth that
            is neither text nor a number.
        ValueError: neither verl_dots nor verl has a scorer for `data_source`.
    """
    options = _options(kwargs)
    if isinstance(ground_truth, bool) or not isinstance(ground_truth, str | int | float):
        raise TypeError(
            f"ground truth of a {data_source!r} question is {ground_truth!r} ({type(ground_truth).__name__}); "
            "it must be text or a number. Fix reward_model.ground_truth in the data set."
        )
    scorer = SCORERS.get(data_source)
    if scorer is None:
        return _score_by_verl(data_source, solution_str, ground_truth, extra_info, kwargs)
    score = scorer(solution_str, str(ground_truth), options)
    return {"score": score, "acc": float(score >= 1.0)}


def source_problem(data_source: str) -> str | None:
    """What keeps every response to questions of a source from being scored, or None."""
    known = data_source in SCORERS or _verl_knows(data_source)
    return None if known else f"no reward function for data source {data_source!r}"


def answer_problem(data_source: str, ground_truth: str) -> str | None:
    """Why the scorer of a source cannot read a ground truth, or None; what verl itself scores is not asked."""
    reader = READERS.get(SCORERS.get(data_source))
    return None if reader is None or reader(ground_truth) else f"the reward cannot read the answer {ground_truth!r:.80}"


@cache
def _verl_knows(data_source: str) -> bool:
    """Whether verl's own function has a branch for the source: it is asked with what no branch can work with."""
    from verl.utils.reward_score import default_compute_score

    try:
        default_compute_score(data_source, None, None)
    except NotImplementedError:
        return False
    except (TypeError, AttributeError, ValueError, AssertionError, ImportError):
        return True
    return True


def _options(kwargs: dict[str, Any]) -> ScoringOptions:
    known = [field.name for field in fields(ScoringOptions)]
    unknown = sorted(set(kwargs) - set(known) - VERL_KWARGS)
    if unknown:
        raise TypeError(
            f"reward_kwargs has unknown entries {unknown}; known: {known}. "
            "Correct reward.custom_reward_function.reward_kwargs."
        )
    return ScoringOptions(**{name: kwargs[name] for name in known if name in kwargs})


def _score_by_verl(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: dict | None, kwargs: dict[str, Any]
) -> dict[str, float]:
    """Score by verl's own function: its score, and its `acc` or else whether the score is 1."""
    from verl.utils.reward_score import default_compute_score  # heavy: imported only when needed

    passed_on = {name: value for name, value in kwargs.items() if name in VERL_KWARGS}
    try:
        result = default_compute_score(data_source, solution_str, ground_truth, extra_info, **passed_on)
    except NotImplementedError as error:
        raise ValueError(
            f"no reward function for data source {data_source!r}. verl_dots knows {sorted(SCORERS)}; verl's own "
            "function does not know it either. Rename the data_source column, or add a scorer with "
            "verl_dots.rewards.compute.register."
        ) from error
    if isinstance(result, dict):
        score = float(result["score"])
        return {"score": score, "acc": float(result.get("acc", score >= 1.0))}
    return {"score": float(result), "acc": float(result >= 1.0)}
