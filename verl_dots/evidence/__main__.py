"""Measure what methods save, over seeds and over combinations of model and data; tables, figures and a page of it.

    python -m verl_dots.evidence ROOT --out FOLDER [--about MATRIX] [--claims FILE] [--check KEPT] [--stand-in]

ROOT holds run folders as COMBINATION/RUN, and timing runs as COMBINATION/time/RUN; or steps.csv and runs.csv, which an
earlier call wrote. Written to FOLDER: steps.csv, runs.csv and notes.txt (the evidence), by_seed.csv, summary.csv
and rounds.csv (the measures), the folders `tables` and `figures`, and index.html, a page of all that stands alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from verl_dots.evidence import results, saved
from verl_dots.evidence.agreement import agreement
from verl_dots.evidence.combinations import those_apart
from verl_dots.evidence.curves import DEFAULT_SMOOTHING, SMOOTHINGS
from verl_dots.evidence.measures import cost_column, saved_column
from verl_dots.evidence.measuring import Measured, measure
from verl_dots.evidence.methods import BASELINE
from verl_dots.evidence.page import PAGE_FILE
from verl_dots.evidence.read import read_evidence
from verl_dots.evidence.records import RUN_KEY, Evidence
from verl_dots.files import begins_with, try_outputs
from verl_dots.settings import Refusal
from verl_dots.terminal import errors, output, sentence
from verl_dots.texts import NOTHING, markdown

Write = Callable[[Evidence, Measured, Path], None]
# File of --out -> how it is written there.
OUTPUTS: dict[str, Write] = {
    saved.STEPS_FILE: lambda evidence, measured, file: saved.save(evidence, file.parent),
    "by_seed.csv": lambda evidence, measured, file: saved.write_table(measured.by_seed, file),
    "summary.csv": lambda evidence, measured, file: saved.write_table(measured.summary, file),
    "rounds.csv": lambda evidence, measured, file: saved.write_table(measured.rounds, file),
}
# Columns of what is printed: heading, measure, scale and digits.
_SHOWN = (
    ("final (%)", "final_accuracy", 100, 1),
    ("steps to target", cost_column("steps"), 1, 1),
    ("steps saved (%)", saved_column("steps"), 100, 1),
    ("time of a step saved (%)", "saved_per_step", 100, 1),
    ("time saved (%)", saved_column("time"), 100, 1),
    ("tokens saved (%)", saved_column("tokens"), 100, 1),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when the files are written, 2 when the runs or the output do not allow them.

    With --check 1 where a run has another fingerprint than the kept one.
    """
    options, console, status = _parse(arguments), output(), 0
    try:
        try_outputs(options.out, (*OUTPUTS, PAGE_FILE), begins_with(",".join(RUN_KEY)))
        about = results.read_about(options.about, options.claims, options.made_by)
        evidence = saved.load(options.root) if saved.is_saved(options.root) else read(options)
        if options.check:  # before the tables, which need the baseline's runs
            found = agreement(evidence.runs, saved.load(options.check).runs)
            console.print(f"{options.check}: {found.sentence}")
            status = 1 if found.different else 0
        apart = those_apart(about.combinations)
        settings = {"stand_in": options.stand_in, "apart": apart}
        measured = measure(evidence, options.baseline, options.smoothing, options.tolerance, **settings)
        results.write_results(evidence, measured, options.out, about)
        for name, write in OUTPUTS.items():
            write(evidence, measured, options.out / name)
    except (Refusal, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    _show(console, evidence, measured)
    console.print(f"\nPage: {options.out / PAGE_FILE}")
    return status


def read(options: argparse.Namespace) -> Evidence:
    """The evidence of run folders."""
    return read_evidence(options.root, options.timed, metric=options.metric)


def _show(console: Console, evidence: Evidence, measured: Measured) -> None:
    """Print the notes, then a table a combination."""
    for note in (*evidence.notes, *measured.notes):
        console.print(f"note: {note}")
    for combination, rows in measured.summary.groupby("combination", sort=False):
        cells = rows.set_index(["method", "measure"])
        methods = list(dict.fromkeys(rows["method"]))
        table = [[method, *_cells(cells.loc[method])] for method in methods]
        header = ["method", "seeds", "reached", *(heading for heading, *_ in _SHOWN)]
        console.print(f"\n{combination}\n\n{markdown(header, table)}")


def _cells(measures) -> list[str]:
    target = measures.loc[cost_column("steps")]
    values = [(measures.loc[name, "mean"] * scale, digits) for _, name, scale, digits in _SHOWN]
    texts = [f"{value:.{digits}f}" if value == value else NOTHING for value, digits in values]
    return [str(target["seeds"]), str(target["reached"]), *texts]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of COMBINATION/RUN, or of saved evidence")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write the tables")
    parser.add_argument("--baseline", default=BASELINE, metavar="NAME", help=f"compare with it (default: {BASELINE})")
    parser.add_argument(
        "--smoothing", default=DEFAULT_SMOOTHING, choices=SMOOTHINGS, help=f"default: {DEFAULT_SMOOTHING}"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.0, metavar="SHARE",
        help="how far an accuracy that is kept may fall below its target later (default: 0)",
    )  # fmt: skip
    parser.add_argument("--metric", metavar="KEY", help="metric that counts as the accuracy (default: verl's own)")
    parser.add_argument("--timed", default="time", metavar="NAME", help="folder of timing runs (default: time)")
    parser.add_argument(
        "--stand-in", action="store_true",
        help="take the time of a step from accuracy runs where no timing run tells it; right if each ran alone on "
        "one machine (default: it is not measured)",
    )  # fmt: skip
    parser.add_argument("--about", type=Path, metavar="MATRIX", help="file with titles and rows of the combinations")
    parser.add_argument("--claims", type=Path, metavar="FILE", help="what the figures are held against")
    parser.add_argument("--made-by", default="", metavar="TEXT", help="commands that the page names (default: none)")
    parser.add_argument("--check", type=Path, metavar="KEPT", help="saved evidence whose fingerprints are compared")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
