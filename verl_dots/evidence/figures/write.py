"""All figures of the evidence, and their files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verl_dots.evidence.figures.budget import budget_figure
from verl_dots.evidence.figures.calibration import calibration_figure
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.pass_at import pass_at_figure
from verl_dots.evidence.figures.savings import savings_figures
from verl_dots.evidence.figures.style import looks, save
from verl_dots.evidence.figures.training import training_figures
from verl_dots.evidence.measuring import Measured
from verl_dots.evidence.records import ACCURACY_RUN, Evidence


@dataclass(frozen=True)
class Written:
    """`drawn`: the PNGs with their captions, in the order of the figures. `reasons`: name -> why it is not drawn."""

    drawn: list[tuple[Path, str]]
    reasons: dict[str, str]


def draw_figures(evidence: Evidence, measured: Measured, titles: Mapping[str, str] | None = None) -> dict[str, Drawn]:
    """File name -> figure and caption, or why there is no figure.

    Args:
        titles: combination -> what it is called; its name where it has none, or where another has the same.
    """
    counts = Counter((titles or {}).values())
    names = {name: title for name, title in (titles or {}).items() if title and counts[title] == 1}
    steps, by_seed, summary = (
        table.assign(combination=table["combination"].replace(names))
        for table in (evidence.steps[evidence.steps["kind"] == ACCURACY_RUN], measured.by_seed, measured.summary)
    )
    evaluations = {(names.get(place, place), *run): of for (place, *run), of in evidence.evaluations.items()}
    of_method = looks(evidence.runs["method"])
    return {
        **savings_figures(summary, by_seed, of_method, measured.smoothing),
        **training_figures(steps, by_seed, of_method, measured.smoothing),
        "calibration": calibration_figure(steps, of_method),
        "budget": budget_figure(steps, of_method),
        "pass_at_k": pass_at_figure(evaluations, of_method),
    }


def write_figures(
    evidence: Evidence, measured: Measured, folder: Path, titles: Mapping[str, str] | None = None
) -> Written:
    """Write each figure as PNG and SVG.

    Args:
        folder: made if it is not there.
        titles: see `draw_figures`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = Written([], {})
    for name, drawn in draw_figures(evidence, measured, titles).items():
        if drawn.figure is None:
            written.reasons[name] = drawn.text
        else:
            written.drawn.append((save(drawn.figure, folder / name), drawn.text))
    return written
