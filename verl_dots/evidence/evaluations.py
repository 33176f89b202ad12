"""Results of `python -m verl_dots.evaluate` in the checkpoints of runs: avg@k and pass@k by data set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from verl_dots.evidence.records import ACCURACY_RUN, EvidenceError
from verl_dots.files import read_json, write_atomically

AVERAGE = "average"
STEP = "step"
SAMPLING = ("temperature", "top_p", "top_k", "max_response_length")  # of the settings of an evaluation
AGAIN = "evaluate the checkpoint again"
ALIKE = "Evaluate all runs after the same step, with the same settings."
ROLLOUTS = "rollouts"
_MOST_NAMED = 4
_STEP = re.compile(r"global_step_(\d+)")


@dataclass(frozen=True)
class Evaluation:
    """One of a checkpoint.

    Attributes:
        results: what evaluation.json holds of each data set.
        made: the step of the checkpoint and `SAMPLING`, as far as they are known.
    """

    results: Mapping[str, Any]
    made: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conditions(self) -> dict[str, Any]:
        """What must be the same of evaluations that are compared: `made`, and the responses to a question."""
        sizes = {label: of.get(ROLLOUTS) for label, of in self.results.items()}
        return {**self.made, **{f"{ROLLOUTS} on {label}": of for label, of in sizes.items() if isinstance(of, int)}}

    def share(self, measure: str, benchmark: str) -> float | None:
        """A share in [0, 1]; None where it was not evaluated.

        Args:
            measure: "accuracy", which is pass@1, or "pass@K".
            benchmark: label of a data set, or "average"; that of a single data set is its own.
        """
        found = self._of_set(benchmark).get("pass@1" if measure == "accuracy" else measure)
        return None if found is None else float(found["value"])

    def questions(self, benchmark: str) -> int | None:
        """How many questions a data set has; None where it was not evaluated."""
        return self._of_set(benchmark).get("questions")

    def _of_set(self, benchmark: str) -> Mapping[str, Any]:
        if benchmark == AVERAGE and len(self.results) == 1:
            return next(iter(self.results.values()))
        return self.results.get(benchmark, {})


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
            found[key] = _evaluation(newest)
    return found


def alike(evaluations: Evaluations) -> tuple[dict[tuple[str, str, int], Evaluation], list[str]]:
    """Those of combinations whose runs were evaluated alike, and a note on each other one, of which none counts.

    Alike: see `Evaluation.conditions`. What is not known of a run is not compared.
    """
    kept, notes = dict(evaluations), []
    for combination in dict.fromkeys(name for name, *_ in evaluations):
        mine = {key: of for key, of in evaluations.items() if key[0] == combination}
        if differences := _differences(mine):
            kept = {key: of for key, of in kept.items() if key not in mine}
            notes.append(f"{combination}: no evaluation counts, for they differ in {'; '.join(differences)}. {ALIKE}")
    return kept, notes


def _differences(evaluations: Evaluations) -> list[str]:
    """Each condition that has several values, and whose: "step: 10 (e3 1, e3 2), 30 (grpo 1)"."""
    found: dict[str, dict[Any, list[str]]] = {}
    for (_, method, seed), one in evaluations.items():
        for name, value in one.conditions.items():
            found.setdefault(name, {}).setdefault(value, []).append(f"{method} {seed}")
    return [
        f"{name}: {', '.join(f'{value:g} ({_few(runs)})' for value, runs in values.items())}"
        for name, values in found.items()
        if len(values) > 1
    ]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def save_evaluations(evaluations: Evaluations, file: Path) -> None:
    """Write evaluations to a JSON file, for tables that are made where the runs' folders are not."""
    rows = [
        {"combination": combination, "method": method, "seed": seed}
        | ({"made": dict(evaluation.made)} if evaluation.made else {})
        | {"results": dict(evaluation.results)}
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
    return {
        (row["combination"], row["method"], row["seed"]): Evaluation(row["results"], row.get("made", {}))
        for row in rows
    }


def _evaluation(file: Path) -> Evaluation:
    """Of an evaluation.json.

    Raises:
        Refusal: it is damaged, or holds something else.
    """
    content = read_json(file, dict, AGAIN)
    found, settings = content.get("results"), content.get("settings", {})
    if not _are_results(found) or not isinstance(settings, dict):
        text = f"{file} does not hold what verl_dots.evaluate writes; {AGAIN}"
        raise EvidenceError(text, key=str(file), reason="damaged")
    known = {name: settings[name] for name in SAMPLING if isinstance(settings.get(name), int | float)}
    return Evaluation(found, {STEP: step_of(file), **known})


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or type(row.get("seed")) is not int:
        return False
    named = all(isinstance(row.get(name), str) for name in ("combination", "method"))
    return named and _are_results(row.get("results")) and _are_numbers(row.get("made", {}))


def _are_results(of: Any) -> bool:
    return isinstance(of, dict) and bool(of) and all(map(_is_result, of.values()))


def _are_numbers(of: Any) -> bool:
    return isinstance(of, dict) and all(isinstance(value, int | float) for value in of.values())


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
