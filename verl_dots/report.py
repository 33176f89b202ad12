"""Report on training runs and compare methods: tables, figures and a summary.

    python -m verl_dots.report RUN... [--out DIR] [--baseline NAME] [--metric KEY] [--include-unfinished]

Each RUN is a run folder, or what a tracker of verl has kept of a run: the .jsonl file of trainer.logger=file, a folder
of tensorboard, or a .csv exported from wandb. Runs with the same experiment name are seeds of one method. Unfinished
and shorter runs are named and left out unless they are asked for. Written: `report.md`, `summary.json`, `accuracy.png`,
`training.png`, and, where that was recorded, `effective.png`, `replay.png` and `controller.png`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from verl_dots.files import OutputError, begins_with, try_outputs, write_atomically
from verl_dots.reporting import counted_runs, document, drawing, export, figures, summary, tables, trackers
from verl_dots.reporting.comparison import Comparison
from verl_dots.reporting.runs import METRICS_FILE, RunError
from verl_dots.terminal import errors, output

REPORT_FILE = "report.md"
SUMMARY_FILE = "summary.json"
FIGURES = {
    document.ACCURACY_FILE: figures.accuracy_figure,
    document.TRAINING_FILE: figures.training_figure,
    document.EFFECTIVE_FILE: figures.effective_figure,
    document.REPLAY_FILE: figures.replay_figure,
    document.CONTROLLER_FILE: figures.controller_figure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when the report is written, 2 when the runs or the output do not allow one."""
    options = _parse(arguments)
    console = output()
    try:
        paths = run_folders(options.run)
        folder = options.out or default_folder(paths)
        made = prepare_output(folder)
        try:
            chosen = counted_runs.select(paths, options.metric, options.include_unfinished)
            comparison = summary.compare(
                chosen.groups, options.baseline, options.smoothing, chosen.left_out, chosen.notes
            )
            write_report(comparison, folder)
        except (RunError, OSError):
            _remove_empty(made)
            raise
    except (RunError, OutputError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or folder}: {error.strerror or error}")
    _show(console, comparison)
    console.print(f"Report: {folder / REPORT_FILE}")
    return 0


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """Drop a folder named twice, as overlapping shell patterns do, and earlier reports that lie among the runs.

    Raises:
        RunError: a path is neither a folder nor what a tracker has kept.
    """
    for path in paths:
        if not path.is_dir() and not trackers.is_tracked(path):
            raise trackers.no_run(path)
    unique = list({path.resolve(): path for path in reversed(paths)}.values())[::-1]
    runs = [path for path in unique if (path / METRICS_FILE).exists() or not (path / REPORT_FILE).exists()]
    return runs or unique


def prepare_output(folder: Path) -> list[Path]:
    """Try the places of all files of a report, for which `folder` is made; return the folders made, innermost first.

    Raises:
        OutputError: one of them cannot be written; the message names it.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        try_outputs(folder, (REPORT_FILE, SUMMARY_FILE, *FIGURES), begins_with(document.FIRST_WORDS))
    except OutputError:
        _remove_empty(made)
        raise
    return made


def write_report(comparison: Comparison, folder: Path) -> None:
    """Write the files of a report into `folder`, which is made if it is not there.

    A figure that an earlier report left there, and that this one does not have, is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, draw in FIGURES.items():
        figure = draw(comparison)
        if figure is not None:
            write_atomically(folder / file, partial(drawing.save, figure))
        else:
            (folder / file).unlink(missing_ok=True)
    data = json.dumps(export.to_json(comparison), indent=2, allow_nan=False)
    for file, text in ((REPORT_FILE, document.report_text(comparison)), (SUMMARY_FILE, data + "\n")):
        write_atomically(folder / file, lambda path, text=text: path.write_text(text, encoding="utf-8"))


def default_folder(paths: Sequence[Path]) -> Path:
    """Return `<run>/report` for one run folder, else `report` in the folder that holds the first run."""
    return paths[0] / "report" if len(paths) == 1 and paths[0].is_dir() else paths[0].resolve().parent / "report"


def _show(console: Console, comparison: Comparison) -> None:
    """Print what does not count and what to know, then the tables."""
    sentences = [f"left out: {one.sentence}" for one in comparison.left_out]
    sentences += [f"note: {sentence}" for sentence in comparison.notes]
    if sentences:
        console.print("\n".join(sentences) + "\n")
    printed = (
        tables.overview_table, tables.savings_table, tables.equal_time_table, tables.milestones_table,
        tables.outcomes_table, tables.phases_table,
    )  # fmt: skip
    for make in printed:
        if table := make(comparison):
            console.print(table + "\n")
        if make is tables.overview_table:
            console.print(document.times_note(comparison) + "\n")


def _failed(message: str) -> int:
    errors().print(f"error: {message}")
    return 2


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the innermost first, as far as nothing is in them."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", nargs="+", type=Path, metavar="RUN", help="run folder, or what a tracker has kept")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write the report (default: printed)")
    parser.add_argument("--baseline", metavar="NAME", help="method to compare with (default: grpo, else the first)")
    parser.add_argument("--metric", metavar="KEY", help="metric that counts as the accuracy (default: verl's own)")
    parser.add_argument(
        "--smoothing", type=int, metavar="N", help="trailing mean of N validations (default: 3 if there are 9, else 1)"
    )
    parser.add_argument(
        counted_runs.FLAG,
        action="store_true",
        help="count unfinished and shorter runs, too; the runs of their method are cut to the steps that all have",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
