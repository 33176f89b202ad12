"""Generations to results: avg@k, pass@k and maj@k of every data set, and their average over the data sets."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from verl_dots.evaluation import estimates
from verl_dots.evaluation.answers import compares, normalised, votes
from verl_dots.evaluation.data_sets import AVERAGE
from verl_dots.evaluation.estimates import Estimate

RIGHT = 1.0  # least `acc` of a right response


@dataclass(frozen=True)
class Result:
    """Estimates of one data set, or their average.

    Attributes:
        label: of the data set.
        questions: how many.
        rollouts: k, to each question.
        pass_at: k' -> pass@k' for the k' of estimates.sizes; of 1 it is avg@k, the share of right responses.
        majority: maj@k, share of questions whose most frequent answer is right; None where answers of its data sources
            cannot be read. The average is that of the data sets where it is known.
        reward: mean, as the reward function gave it.
        tokens: mean length of a response.
        cut_off: share of responses that the limit cut.
        unanswered: share of responses in which no answer could be read; None like `majority`.
    """

    label: str
    questions: int
    rollouts: int
    pass_at: dict[int, Estimate]
    majority: Estimate | None
    reward: float
    tokens: float
    cut_off: float
    unanswered: float | None


def summarise(generations: pa.Table, same: Callable[[str, str], bool] | None = None) -> list[Result]:
    """Results of every data set in their order, and the average over them if they are several.

    Args:
        generations: columns of storage.SCHEMA (the response is not needed); all rollouts of a question together.
        same: whether two answers written differently are equal (AnswerReader.same); None: they are not.
    """
    groups: dict[str, dict[str, list[dict]]] = {}
    for row in generations.to_pylist():
        groups.setdefault(row["data_set"], {}).setdefault(row["question_id"], []).append(row)
    results = [_result(label, list(questions.values()), same) for label, questions in groups.items()]
    return results + ([_average(results)] if len(results) > 1 else [])


def to_json(results: Sequence[Result]) -> dict[str, Any]:
    """Label -> estimates as plain JSON values; an interval is cut at 0 and 1, and null where it is not known."""
    return {result.label: _plain(result) for result in results}


def _result(label: str, rows_PG: list[list[dict]], same: Callable[[str, str], bool] | None) -> Result:
    rollouts = len(rows_PG[0])
    right_PG = [[row["acc"] >= RIGHT for row in rows] for rows in rows_PG]
    pass_at = {
        k: estimates.mean_of([estimates.pass_at_k(rollouts, sum(right_G), k) for right_G in right_PG])
        for k in estimates.sizes(rollouts)
    }
    every = [row for rows in rows_PG for row in rows]
    known = all(votes(source) for source in {row["data_source"] for row in every})
    return Result(
        label=label,
        questions=len(rows_PG),
        rollouts=rollouts,
        pass_at=pass_at,
        majority=_majority(rows_PG, right_PG, same) if known else None,
        reward=float(np.mean([row["reward"] for row in every])),
        tokens=float(np.mean([row["tokens"] for row in every])),
        cut_off=float(np.mean([row["stop_reason"] == "length" for row in every])),
        unanswered=float(np.mean([row["answer"] is None for row in every])) if known else None,
    )


def _majority(
    rows_PG: list[list[dict]], right_PG: list[list[bool]], same: Callable[[str, str], bool] | None
) -> Estimate:
    won_P = [
        estimates.majority_is_right(
            [normalised(row["answer"]) for row in rows], right_G, same if compares(rows[0]["data_source"]) else None
        )
        for rows, right_G in zip(rows_PG, right_PG, strict=True)
    ]
    return estimates.mean_of([float(won) for won in won_P])


def _average(results: Sequence[Result]) -> Result:
    """Every data set counts alike, whatever its size; `questions` is their sum."""

    def mean(name: str, results: Sequence[Result] = results) -> float:
        return float(np.mean([getattr(result, name) for result in results]))

    known = [result for result in results if result.majority is not None]
    return Result(
        label=AVERAGE,
        questions=sum(result.questions for result in results),
        rollouts=results[0].rollouts,
        pass_at={k: estimates.average([result.pass_at[k] for result in results]) for k in results[0].pass_at},
        majority=estimates.average([result.majority for result in known]) if known else None,
        reward=mean("reward"),
        tokens=mean("tokens"),
        cut_off=mean("cut_off"),
        unanswered=mean("unanswered", known) if known else None,
    )


def _plain(result: Result) -> dict[str, Any]:
    values = asdict(result)
    del values["label"], values["pass_at"], values["majority"]
    k = result.rollouts
    pass_at = {f"pass@{size}": _interval(estimate) for size, estimate in result.pass_at.items()}
    return values | {
        f"avg@{k}": pass_at["pass@1"],
        **pass_at,
        f"maj@{k}": result.majority and _interval(result.majority),
    }


def _interval(estimate: Estimate) -> dict[str, float | None]:
    known = math.isfinite(estimate.half_width)
    return {
        "value": estimate.value,
        "low": max(0.0, estimate.value - estimate.half_width) if known else None,
        "high": min(1.0, estimate.value + estimate.half_width) if known else None,
    }
