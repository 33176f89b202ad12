"""How often the grader errs, by form: ground truths against themselves, rewritten and changed.

    python -m scripts.grading_rates --data FOLDER [--sample 500] [--seed 0] [--wrong]

Prints a table of gradings and errors by form, the rates of equal and of changed forms, and the times of a grading
within a worker process. Exit: 2 where the folder lacks one of the files.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from scripts.changed_forms import CHANGED
from scripts.equal_forms import EQUAL
from scripts.grading_sweep import FILES, Rates, ground_truths, measurements, sweep
from verl_dots.rewards import grading
from verl_dots.rewards.worker_pool import WorkerPool
from verl_dots.terminal import errors, output

LIMIT_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(arguments)
    try:
        golds = ground_truths(options.data)
    except FileNotFoundError as error:
        errors().print(f"grading_rates: {error}")
        return 2
    pool = WorkerPool(1, modules=(grading.__name__, "math_verify"))

    def grade(response: str, gold: str, measured: bool) -> bool:
        outcome = pool.run(grading.grade, response, gold, measured, limit_seconds=LIMIT_SECONDS)
        return outcome.value is grading.Verdict.CORRECT

    try:
        grade(r"\boxed{\sum_{k=1}^{2} k}", "3", False)  # the worker runs, sympy is imported
        rates = rates_of(grade, golds, options.sample, options.seed)
    finally:
        pool.close()
    _show(rates, options.wrong)
    return 0


def _show(rates: Rates, wrong: bool) -> None:
    console = output()
    console.print(table(rates))
    for name, forms in (("equal", EQUAL), ("changed", CHANGED)):
        console.print(f"{name} forms graded wrong: {rates.rate(forms):.3%}")
    times = ", ".join(f"p{share:g} {rates.percentile(share / 100) * 1000:.1f} ms" for share in (50, 99, 99.9))
    console.print(f"a grading within a worker: {times}")
    for form, wrongly in rates.errors.items() if wrong else ():
        for gold, response in wrongly:
            console.print(f"{form}: {gold!r} | {response!r}")


def rates_of(grade, golds: list[str], sample: int, seed: int) -> Rates:
    """Rates over a sample of ground truths (0: all), and over measurements."""
    chosen = random.Random(seed).sample(golds, sample) if 0 < sample < len(golds) else golds
    rates = sweep(grade, chosen, golds, seed=seed)
    rates.merge(sweep(grade, measurements(seed=seed), measurements(seed=seed + 1), measured=True, seed=seed))
    return rates


def table(rates: Rates) -> Table:
    """One row a form."""
    shown = Table("form", "should score", "gradings", "wrong", "rate")
    for forms, score in ((EQUAL, "1"), (CHANGED, "0")):
        for form in forms:
            count, wrong = rates.gradings.get(form, 0), len(rates.errors.get(form, ()))
            if count:
                shown.add_row(form.replace("_", " "), score, str(count), str(wrong), f"{wrong / count:.2%}")
    return shown


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    listing = "\n".join(f"  {name}\n    {source}" for name, source in FILES.items())
    parser = argparse.ArgumentParser(
        prog="python -m scripts.grading_rates",
        description=f"{__doc__}\nFOLDER holds these published files, under these names:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="folder with the published files")
    parser.add_argument(
        "--sample", type=int, default=500, help="ground truths to draw; 0 for all (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--wrong", action="store_true", help="list what was graded wrong (default: only counts)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
