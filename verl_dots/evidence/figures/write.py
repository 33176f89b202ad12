"""All figures of the evidence, and their files."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from verl_dots.evidence.figures.budget import budget_figure
from verl_dots.evidence.figures.calibration import calibration_figure
from verl_dots.evidence.figures.panels import Drawn
from verl_dots.evidence.figures.pass_at import pass_at_figure
from verl_dots.evidence.figures.savings import savings_figure
from verl_dots.evidence.figures.style import looks, save
from verl_dots.evidence.figures.training import training_figures
from verl_dots.evidence.records import ACCURACY_RUN, Evidence

logger = logging.getLogger(__name__)


def draw_figures(evidence: Evidence, by_seed: pd.DataFrame, summary: pd.DataFrame) -> dict[str, Drawn]:
    """File name -> figure and caption, or why there is no figure.

    Args:
        by_seed, summary: see `measures`.
    """
    steps, of_method = evidence.steps[evidence.steps["kind"] == ACCURACY_RUN], looks(evidence.runs["method"])
    return {
        "savings": savings_figure(summary, by_seed, of_method),
        **training_figures(steps, by_seed, of_method),
        "calibration": calibration_figure(steps, of_method),
        "budget": budget_figure(steps, of_method),
        "pass_at_k": pass_at_figure(evidence.evaluations, of_method),
    }


def write_figures(
    evidence: Evidence, by_seed: pd.DataFrame, summary: pd.DataFrame, folder: Path
) -> list[tuple[Path, str]]:
    """Write each figure as PNG and SVG; the PNGs with their captions, in the order of the figures.

    What is not drawn is logged with the reason; `draw_figures` returns both.

    Args:
        folder: made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, drawn in draw_figures(evidence, by_seed, summary).items():
        if drawn.figure is None:
            logger.info("no figure %s: %s", name, drawn.text)
        else:
            written.append((save(drawn.figure, folder / name), drawn.text))
    return written
