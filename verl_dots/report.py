"""Report on training runs and compare methods: tables, figures and a summary.

    python -m verl_dots.report RUN... [--out DIR] [--baseline NAME] [--metric KEY]

Each RUN is a run folder. Runs with the same experiment name are seeds of one method. Written:
`report.md`, `summary.json`, `accuracy.png`, `training.png`, and, where that was recorded, `effective.png`, `replay.png`
and `controller.png`.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from verl_dots.reporting import drawing, figures, runs, summary, tables
from verl_dots.reporting.runs import RunError
from verl_dots.reporting.summary import Comparison

REPORT_FILE = "report.md"
SUMMARY_FILE = "summary.json"
ACCURACY_FILE = "accuracy.png"
TRAINING_FILE = "training.png"
EFFECTIVE_FILE = "effective.png"
REPLAY_FILE = "replay.png"
CONTROLLER_FILE = "controller.png"

_PARTS_NOTE = (
    "Means over steps and seeds, the first step left out. `step` is verl's timer around a training step; it holds "
    "the other parts except `testing`, the validation, which runs after it in some steps and is spread over all."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when the report is written, 2 when the runs do not allow one."""
    options = _parse(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    try:
        groups = runs.group_by_name([runs.load_run(path, options.metric) for path in _unique(options.run)])
        comparison = summary.compare(groups, options.baseline, options.smoothing)
    except RunError as error:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"error: {error}")
        return 2
    folder = options.out or default_folder(_unique(options.run))
    write_report(comparison, folder)
    printed = (
        tables.overview_table, tables.savings_table, tables.equal_time_table, tables.milestones_table,
        tables.outcomes_table, tables.parts_table,
    )  # fmt: skip
    for table in (make(comparison) for make in printed):
        if table:
            console.print(table + "\n")
    console.print(f"Report: {folder / REPORT_FILE}")
    return 0


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write the files of a report into `folder`, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    drawing.save(figures.accuracy_figure(comparison), folder / ACCURACY_FILE)
    drawing.save(figures.training_figure(comparison), folder / TRAINING_FILE)
    optional = (
        (figures.effective_figure, EFFECTIVE_FILE),
        (figures.replay_figure, REPLAY_FILE),
        (figures.controller_figure, CONTROLLER_FILE),
    )
    for draw, file in optional:
        figure = draw(comparison)
        if figure is not None:
            drawing.save(figure, folder / file)
    (folder / REPORT_FILE).write_text(report_text(comparison), encoding="utf-8")
    text = json.dumps(summary.to_json(comparison), indent=2, allow_nan=False)
    (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")


def report_text(comparison: Comparison) -> str:
    """Return the report as markdown; it refers to the figures by file name."""
    names = ", ".join(method.name for method in comparison.methods)
    lines = [f"# Training report: {names}", "", f"{comparison.label}: {_metric_text(comparison)}", ""]
    lines += [tables.overview_table(comparison), ""]
    lines += [
        f"Accuracy: {comparison.smoothing}. *First* and *final* are the ends of that curve. ± is one standard "
        "deviation over seeds. Wall time includes validation; s/step is training alone, the first step (warm-up) "
        "left out.",
        "",
        f"![{comparison.label} against steps, wall time and generated tokens]({ACCURACY_FILE})",
        "",
    ]
    savings = tables.savings_table(comparison)
    if savings:
        lines += _savings_section(comparison, savings)
    if any(math.isfinite(method.effective_groups) for method in comparison.methods):
        lines += [
            "## Effective groups", "", f"![Share of groups whose rollouts differ in reward]({EFFECTIVE_FILE})", "",
            "A group whose rollouts all have the same reward has no advantage and teaches nothing.", "",
            tables.outcomes_table(comparison), "",
        ]  # fmt: skip
    if any(figures.REPLAYED_SHARE in run.rows for method in comparison.methods for run in method.runs):
        lines += ["## Replay", "", f"![Share replayed, change of the policy by age, share clipped]({REPLAY_FILE})", ""]
    if any(figures.TEMPERATURE in run.rows for method in comparison.methods for run in method.runs):
        lines += [
            "## Temperature",
            "",
            f"![Entropy with and without the controller, temperature]({CONTROLLER_FILE})",
            "",
        ]
    lines += ["## Training", "", f"![Reward, entropy and response length against steps]({TRAINING_FILE})", ""]
    parts = tables.parts_table(comparison)
    if parts:
        lines += ["## Seconds per step by part", "", parts, ""]
        lines += [_PARTS_NOTE, ""]
    return "\n".join(lines + _run_section(comparison))


def default_folder(paths: Sequence[Path]) -> Path:
    """Return `<run>/report` for one run, else `report` in the folder that holds the first run."""
    return paths[0] / "report" if len(paths) == 1 else paths[0].resolve().parent / "report"


def _savings_section(comparison: Comparison, table: str) -> list[str]:
    target = f"{100 * comparison.target:.1f} %" if comparison.is_accuracy else f"{comparison.target:.3f}"
    return [
        f"## Cost of reaching {comparison.baseline}'s final accuracy ({target})",
        "",
        table,
        "",
        "Where the mean curve first reaches it, interpolated between evaluations; the baseline is measured "
        "in the same way. Train time is training steps alone, without validation, and total time saved is of train "
        "time: total = 1 - (1 - steps)(1 - time/step). Negative: more than the baseline. Accuracies in brackets: "
        "training had ended before.",
        "",
        *_milestones(comparison),
    ]


def _milestones(comparison: Comparison) -> list[str]:
    found = (tables.equal_time_table(comparison), tables.milestones_table(comparison))
    return [line for table in found if table for line in (table, "")]


def _run_section(comparison: Comparison) -> list[str]:
    all_runs = [run for method in comparison.methods for run in method.runs]
    rows = [
        [str(run.path), run.name, _text(run.seed), _text(run.started), run.finished or "not finished"]
        for run in all_runs
    ]
    lines = ["## Runs", "", tables.markdown(["folder", "method", "seed", "started", "finished"], rows), ""]
    versions = sorted({f"{name} {version}" for run in all_runs for name, version in run.versions.items()})
    return lines + ([f"Versions: {', '.join(versions)}", ""] if versions else [])


def _metric_text(comparison: Comparison) -> str:
    keys = ", ".join(f"`{key}`" for key in comparison.metric_keys)
    return f"the mean of {keys}" if len(comparison.metric_keys) > 1 else keys


def _text(value: object) -> str:
    return tables.NOTHING if value is None else str(value)


def _unique(paths: Sequence[Path]) -> list[Path]:
    """Drop a folder named twice, as overlapping shell patterns do."""
    return list({path.resolve(): path for path in reversed(paths)}.values())[::-1]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.report", description="Tables and figures of training runs, compared with a baseline."
    )
    parser.add_argument("run", nargs="+", type=Path, metavar="RUN", help="run folder (holds metrics.jsonl)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write the report (default: printed)")
    parser.add_argument("--baseline", metavar="NAME", help="method to compare with (default: grpo, else the first)")
    parser.add_argument("--metric", metavar="KEY", help="metric that counts as the accuracy (default: verl's own)")
    parser.add_argument(
        "--smoothing", type=int, metavar="N", help="trailing mean of N evaluations (default: 3 if there are 9, else 1)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
