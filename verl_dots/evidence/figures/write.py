"""All figures of the evidence, and their files."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from verl_dots.evidence.figures.curves import Drawn
from verl_dots.evidence.figures.style import looks, save
from verl_dots.evidence.figures.training import training_figures
from verl_dots.evidence.records import Evidence

logger = logging.getLogger(__name__)


def draw_figures(evidence: Evidence, by_seed: pd.DataFrame, summary: pd.DataFrame) -> dict[str, Drawn]:
    """File name -> figure and caption, or why there is no figure."""
    of_method = looks(evidence.runs["method"])
    return training_figures(evidence, of_method)


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
