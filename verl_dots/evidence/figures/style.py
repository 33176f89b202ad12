"""How the figures look in print: sizes, the look of each method, and files whose bytes repeat."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from verl_dots.evidence.methods import LOOKS, Look, in_order
from verl_dots.reporting import drawing

# Of a printed page, in inches. Text has its size in points there: a figure must not be shrunk.
WIDTH = drawing.PRINT_WIDTH
PANEL_HEIGHT = 2.05
COLUMNS = 3
LEGEND_CHARACTERS = drawing.PRINT_CHARACTERS
STYLE = drawing.PRINT_STYLE | {"svg.hashsalt": "verl_dots"}  # names of an SVG's parts, otherwise random
DOTS_PER_INCH = 200
# Methods that have no look of their own: no marker of `LOOKS`, so that none is taken for one of these.
_OTHER_MARKERS = ("8", "3", "4", "|", "_", "H", "$a$")
_OTHER_COLOURS = ("#7f7f7f", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_OTHER_DASHES = (":", "--", "-.", "-")


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Each method's look, in the order in which methods are shown; no two look the same.

    A method that is not in `LOOKS` is called by its name, and looks the same as long as the others of its kind do.
    """
    names = in_order(list(dict.fromkeys(names)))
    found = {name: LOOKS[name] for name in names if name in LOOKS}
    # 7 markers, 6 colours: 42 pairs before the first comes again, and then the dashes differ.
    markers, colours = cycle(_OTHER_MARKERS), cycle(_OTHER_COLOURS)
    for place, name in enumerate(name for name in names if name not in LOOKS):
        dash = _OTHER_DASHES[(place + place // 42) % len(_OTHER_DASHES)]
        found[name] = Look(drawing.plain(name), next(colours), dash, next(markers))
    return found


def save_svg(figure: Figure, stem: Path) -> Path:
    """Write `stem`.svg, the same bytes for the same figure; its path."""
    svg = stem.with_name(f"{stem.name}.svg")
    with rc_context(STYLE):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return svg


def save(figure: Figure, stem: Path) -> Path:
    """Write `stem`.png and `stem`.svg, the same bytes for the same figure; the path of the PNG."""
    save_svg(figure, stem)
    with rc_context(STYLE):
        png = stem.with_name(f"{stem.name}.png")
        figure.savefig(png, format="png", dpi=DOTS_PER_INCH)
    return png
