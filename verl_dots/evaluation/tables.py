"""Results as text: the table that is printed, and evaluation.md around it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from verl_dots.evaluation.data_sets import AVERAGE
from verl_dots.evaluation.estimates import Estimate
from verl_dots.evaluation.summary import Result
from verl_dots.texts import NOTHING, markdown

NOTES = (
    "avg@k: share of right responses, which is pass@1. pass@k: at least one of k is right, estimated without bias from "
    "all rollouts. maj@k: the most frequent answer is right; of equally frequent ones the first counts. ± is half a "
    "normal 95 % interval over questions. Tokens: mean length of a response; cut off: share of responses that ended at "
    "the limit."
)
AVERAGE_NOTE = "Every data set counts alike in the average, whatever its size."


def table(results: Sequence[Result]) -> str:
    """One row a data set."""
    k = results[0].rollouts
    larger = [size for size in results[0].pass_at if size > 1]
    header = ["data set", "questions", f"avg@{k} (%)", *(f"pass@{size} (%)" for size in larger)]
    header += [f"maj@{k} (%)"] * (k > 1) + ["tokens", "cut off (%)"]
    rows = [
        [result.label, str(result.questions)]
        + [percent(result.pass_at[size]) for size in (1, *larger)]
        + [percent(result.majority)] * (k > 1)
        + [f"{result.tokens:.1f}", f"{100 * result.cut_off:.1f}"]
        for result in results
    ]
    return markdown(header, rows)


def notes(results: Sequence[Result]) -> list[str]:
    """What the table leaves out, and why."""
    unknown = [result.label for result in results if result.majority is None and result.label != AVERAGE]
    if not unknown or results[0].rollouts == 1:
        return []
    left_out = "; the average of maj@k is that of the others" if len(unknown) < len(results) - 1 else ""
    return [f"maj@k is not known of {', '.join(unknown)}, whose answers cannot be read out of responses{left_out}."]


def percent(estimate: Estimate | None) -> str:
    """0.345 with half an interval of 0.0123 is "34.5 ± 1.2"; "34.5" where that is not known, "–" where nothing is."""
    if estimate is None:
        return NOTHING
    value = f"{100 * estimate.value:.1f}"
    return value if math.isnan(estimate.half_width) else f"{value} ± {100 * estimate.half_width:.1f}"


def document(name: str, results: Sequence[Result], settings: Mapping[str, Any]) -> str:
    """The content of evaluation.md."""
    lines = [f"# Evaluation: {name}", "", table(results), "", NOTES]
    lines += [AVERAGE_NOTE] * (len(results) > 1) + notes(results)
    rows = [[key, _shown(value)] for key, value in sorted(settings.items())]
    return "\n".join([*lines, "", "## Settings", "", markdown(["setting", "value"], rows), ""])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_shown(inner)}" for key, inner in value.items()) or "–"
    return "–" if value is None else str(value)
