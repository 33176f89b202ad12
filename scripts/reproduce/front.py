"""What the README shows of the kept results: a row a method, the mean over all combinations, and the curves of it.

Ablations are left to recipes/RESULTS.md. The figure has one method of each paper, and how far each is above GRPO.

Axis suffixes: `_E` validations of a run, `_R` runs of a method, each of one combination and seed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from verl_dots.evidence import rendering
from verl_dots.evidence.cells import Table
from verl_dots.evidence.curves import DEFAULT_SMOOTHING, SMOOTHING_TOLD, at_common_steps, with_smoothed
from verl_dots.evidence.figures import panels
from verl_dots.evidence.figures.curves import named
from verl_dots.evidence.figures.marks import same_lines
from verl_dots.evidence.figures.seeds import Line
from verl_dots.evidence.figures.style import STYLE, looks, save_svg
from verl_dots.evidence.methods import BASELINE, LOOKS, MAIN, Look
from verl_dots.evidence.over_seeds import interval
from verl_dots.evidence.records import ACCURACY_RUN, Evidence

SECTION, STEM = "results", "accuracy"
ABLATIONS = ("grpo_few", "dots_rr_levels")  # those on some combinations alone have no mean
SAME_AS_GRPO = "dash"  # its updates are GRPO's: it is named with it, as long as the runs agree
SHOWN = (
    "method", "final accuracy (%)", "above GRPO (points)", "above GRPO at equal tokens (points)",
    "generated tokens (k)", "reached",
)  # fmt: skip


@dataclass(frozen=True)
class _Runs:
    """All runs of a method at the validations that they share: arrays of shape (E,) and (R, E); accuracy in per cent.

    `keys`: combination and seed of each run, in order.
    """

    step_E: np.ndarray
    keys: tuple[tuple[str, int], ...]
    accuracy_RE: np.ndarray
    tokens_RE: np.ndarray


def table_of(overview: Table) -> str:
    """The last section of the table of all methods, some columns of it: the mean over the combinations, if several."""
    titles, section = [column.title for column in overview.columns], overview.sections[-1]
    places = [titles.index(name) for name in SHOWN]
    left_out = {LOOKS[name].label for name in ABLATIONS}
    methods = [row for row in section.rows if row[titles.index("method")] not in left_out]
    rows = tuple(tuple(row[place] for place in places) for row in methods)
    columns = tuple(overview.columns[place] for place in places)
    part = Table(SECTION, "", columns, (replace(section, heading="", rows=rows),))
    return rendering.markdown(part).partition("\n\n")[2].strip() + "\n"


def draw_curves(evidence: Evidence, folder: Path, apart: Collection[str] = ()) -> Path:
    """Write `curves_of` as an SVG; its path."""
    return save_svg(curves_of(evidence, apart), folder / STEM)


def curves_of(evidence: Evidence, apart: Collection[str] = (), smoothing: str = DEFAULT_SMOOTHING) -> Figure:
    """Accuracy by step, and how far it is above GRPO's by step and at equal tokens.

    A run is compared with GRPO's of the same combination and seed, and all such differences are averaged. Combinations
    that stand apart do not count.

    Raises:
        ValueError: no run of GRPO has been validated.
    """
    steps = evidence.steps[(evidence.steps["kind"] == ACCURACY_RUN) & ~evidence.steps["combination"].isin(apart)]
    steps = with_smoothed(at_common_steps(steps, BASELINE, smoothing)[0], smoothing)
    found = {name: _runs(steps[steps["method"] == name]) for name in looks(steps["method"]) if name in
             (*MAIN, SAME_AS_GRPO)}  # fmt: skip
    found = {name: runs for name, runs in found.items() if runs is not None}
    if BASELINE not in found:
        raise ValueError("no run of GRPO has validations, against which the figure shows the others")
    means = {name: _mean(runs) for name, runs in found.items()}
    same = {name: of for name, of in same_lines([means]).items() if name == SAME_AS_GRPO and of == BASELINE}
    shown = {name: runs for name, runs in found.items() if name in MAIN}
    of_method = {name: named(name, looks(found), same) for name in shown}
    grpo = found[BASELINE]
    pairs = {name: (_paired(runs, grpo), _paired(grpo, runs)) for name, runs in shown.items() if name != BASELINE}
    pairs = {name: pair for name, pair in pairs.items() if pair[0].keys}
    by_step = {name: _above(*pair) for name, pair in pairs.items()}
    by_tokens = {name: _above_at_tokens(*pair) for name, pair in pairs.items()}
    return _figure([{name: means[name] for name in shown}, by_step, by_tokens], of_method, SMOOTHING_TOLD[smoothing])


def _figure(of_panels: Sequence[Mapping[str, Line]], of_method: Mapping[str, Look], smoothing: str) -> Figure:
    heads = ("accuracy", "above GRPO", "above GRPO at equal tokens")
    with rc_context(STYLE):
        figure, axes = panels.grid(len(heads), title=heads)
        for axis, lines, head in zip(axes, of_panels, heads, strict=True):
            panels.draw_lines(axis, lines, of_method, spread=panels.BARS if axis is not axes[0] else "")
            panels.name_panel(axis, head)
            axis.set(xlabel="training step", ylabel="%" if axis is axes[0] else "points")
            axis.margins(x=0.04, y=0.06)
        _against_grpo(axes[1], axes[2], of_method[BASELINE])
        panels.legend(figure, of_method, list(of_method))
        panels.title(
            figure,
            "Validation accuracy, mean over all combinations and seeds",
            f"{smoothing}, as in the table",
            "bars: 95 % interval of the mean difference to GRPO's run of the same combination and seed",
            _counted(of_panels[0]),
        )
    return figure


def _against_grpo(by_step: Axes, by_tokens: Axes, look: Look) -> None:
    """The axes of both differences: one scale, GRPO at 0."""
    ends = np.array([axis.get_ylim() for axis in (by_step, by_tokens)])
    for axis in (by_step, by_tokens):
        axis.set_ylim(ends.min(), ends.max())
        axis.axhline(0, color=look.colour, linewidth=1.2, zorder=2.5)
    by_tokens.set(xlabel="generated tokens")
    by_tokens.xaxis.set_major_formatter(EngFormatter(sep=""))


def _counted(lines: Mapping[str, Line]) -> str:
    counts = sorted({line.seeds for line in lines.values()})
    return f"{' to '.join(str(count) for count in dict.fromkeys((counts[0], counts[-1])))} runs a line"


def _runs(rows: pd.DataFrame) -> _Runs | None:
    """None where no step has been validated in all runs."""
    of_run = rows.dropna(subset=["accuracy"]).set_index("step").groupby(["combination", "seed"])
    runs = {key: of.sort_index() for key, of in of_run}
    step_E = sorted(set.intersection(*(set(of.index) for of in runs.values()))) if runs else []
    if not step_E:
        return None
    accuracy, tokens = ([of[name][step_E] for of in runs.values()] for name in ("accuracy", "generated_tokens"))
    return _Runs(np.array(step_E, dtype=float), tuple(runs), 100 * np.array(accuracy), np.array(tokens, dtype=float))


def _mean(runs: _Runs) -> Line:
    mean_E = runs.accuracy_RE.mean(axis=0)
    return Line(runs.step_E, mean_E, mean_E, mean_E, len(runs.accuracy_RE))


def _paired(runs: _Runs, others: _Runs) -> _Runs:
    """The runs of which the others have the same combination and seed."""
    kept = [place for place, key in enumerate(runs.keys) if key in others.keys]
    keys = tuple(runs.keys[place] for place in kept)
    return _Runs(runs.step_E, keys, runs.accuracy_RE[kept], runs.tokens_RE[kept])


def _above(runs: _Runs, grpo: _Runs) -> Line:
    """At the same step."""
    one_E, two_E = (np.isin(of.step_E, other.step_E) for of, other in ((runs, grpo), (grpo, runs)))
    return _line(runs.step_E[one_E], runs.accuracy_RE[:, one_E] - grpo.accuracy_RE[:, two_E], runs.keys)


def _above_at_tokens(runs: _Runs, grpo: _Runs) -> Line:
    """At the same tokens, GRPO's accuracy interpolated; as far as GRPO has generated as many in every pair."""
    pairs = zip(runs.tokens_RE, grpo.tokens_RE, grpo.accuracy_RE, strict=True)
    grpo_RE = np.array([np.interp(at_E, tokens_E, accuracy_E, right=np.nan) for at_E, tokens_E, accuracy_E in pairs])
    known_E = np.isfinite(grpo_RE).all(axis=0)
    difference_RE = (runs.accuracy_RE - grpo_RE)[:, known_E]
    return _line(runs.tokens_RE.mean(axis=0)[known_E], difference_RE, runs.keys)


def _line(x_E: np.ndarray, difference_RE: np.ndarray, keys: Sequence[tuple[str, int]]) -> Line:
    """The mean difference with its interval, over the seeds of each combination."""
    combinations = [combination for combination, _ in keys]
    groups = [difference_RE[[one == name for one in combinations]] for name in dict.fromkeys(combinations)]
    ends = [interval([group[:, place].tolist() for group in groups]) for place in range(len(x_E))]
    low_E, high_E = np.array(ends, dtype=float).reshape(-1, 2).T
    return Line(x_E, np.mean([group.mean(axis=0) for group in groups], axis=0), low_E, high_E, len(difference_RE))
