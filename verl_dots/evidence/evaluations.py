"""Results of `python -m verl_dots.evaluate` in the checkpoints of runs: avg@k and pass@k by data set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from verl_dots.evidence.records import ACCURACY_RUN, EvidenceError
from verl_dots.files import read_json, write_atomically

AVERAGE = "average"
AGAIN = "evaluate the checkpoint again"
_STEP = re.compile(r"global_step_(\d+)")


@dataclass(frozen=True)
class Evaluation:
    """`results`: what evaluation.json holds of each data set."""

    results: Mapping[str, Any]

    def share(self, measure: str, benchmark: str) -> float | None:
        """A share in [0, 1]; None where it was not evaluated.

        Args:
            measure: "accuracy", which is pass@1, or "pass@K".
            benchmark: label of a data set, or "average"; that of a single data set is its own.
        """
        if benchmark == AVERAGE and len(self.results) == 1:
            (of_set,) = self.results.values()
        else:
            of_set = self.results.get(benchmark, {})
        found = of_set.get("pass@1" if measure == "accuracy" else measure)
        return None if found is None else float(found["value"])


# (combination, method, seed) -> the evaluation of its newest checkpoint that has one.
Evaluations = Mapping[tuple[str, str, int], Evaluation]


def read_evaluations(runs: pd.DataFrame) -> dict[tuple[str, str, int], Evaluation]:
    """The evaluations in the folders of runs that count for accuracy; a run without one is left out.

    Args:
        runs: `Evidence.runs`.

    Raises:
        Refusal: a file is damaged, see `results_of`.
    """
    found = {}
    for run in runs[runs.kind == ACCURACY_RUN].itertuples():
        files = list(Path(run.path).glob("global_step_*/evaluation/evaluation.json")) if run.path else []
        if files:
            newest = max(files, key=step_of)
            key = (run.combination, run.method, int(run.seed))
            found[key] = Evaluation(results_of(newest))
    return found


def save_evaluations(evaluations: Evaluations, file: Path) -> None:
    """Write evaluations to a JSON file, for tables that are made where the runs' folders are not."""
    rows = [
        {"combination": combination, "method": method, "seed": seed, "results": dict(evaluation.results)}
        for (combination, method, seed), evaluation in sorted(evaluations.items(), key=lambda item: item[0])
    ]
    write_atomically(file, lambda path: path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8"))


def load_evaluations(file: Path) -> dict[tuple[str, str, int], Evaluation]:
    """Read what `save_evaluations` wrote.

    Raises:
        Refusal: it is damaged, or holds something else.
    """
    rows = read_json(file, list, AGAIN)
    if not all(map(_is_row, rows)):
        text = f"{file} does not hold what save_evaluations writes; keep the runs again"
        raise EvidenceError(text, key=str(file), reason="damaged")
    return {(row["combination"], row["method"], row["seed"]): Evaluation(row["results"]) for row in rows}


def results_of(file: Path) -> dict[str, dict[str, Any]]:
    """Label of a data set -> its results, of an evaluation.json.

    Raises:
        Refusal: it is damaged, or holds something else.
    """
    found = read_json(file, dict, AGAIN).get("results")
    if not isinstance(found, dict) or not found or not all(map(_is_result, found.values())):
        text = f"{file} does not hold what verl_dots.evaluate writes; {AGAIN}"
        raise EvidenceError(text, key=str(file), reason="damaged")
    return found


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("results"), dict) or type(row.get("seed")) is not int:
        return False
    named = all(isinstance(row.get(name), str) for name in ("combination", "method"))
    return named and bool(row["results"]) and all(map(_is_result, row["results"].values()))


def _is_result(of: Any) -> bool:
    if not isinstance(of, dict) or type(of.get("questions")) is not int:
        return False
    estimates = [estimate for name, estimate in of.items() if name.startswith("pass@")]
    return all(
        isinstance(estimate, dict)
        and isinstance(estimate.get("value"), int | float)
        and all(isinstance(estimate.get(end), int | float | None) for end in ("low", "high"))
        for estimate in estimates
    )


def step_of(file: Path) -> int:
    """The step of the checkpoint that an evaluation.json is of; 0 where its folder has another name."""
    match = _STEP.fullmatch(file.parts[-3])
    return int(match[1]) if match else 0
