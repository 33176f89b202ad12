"""A long run with everything on: whether memory, open files, threads, disk and the time of a step stay as they are.

    python -m scripts.soak [--steps 2000] [--out runs/soak] [--recipe recipes/cpu/all.sh] [--keep] [OVERRIDE ...]

Runs the recipe on the tiny model with the smallest batch that has every method at work, and looks at all its processes.
The same command resumes a run that has stopped, and judges one that is complete. It leaves in --out:

    run/           the run folder
    samples.csv    launch, seconds, step, of (a role of processes, or a folder), quantity, value
    soak.png, .svg every figure by step

The last lines say how each figure changes in 1000 steps, with its interval, and whether it is flat. Exit 1 where one
is not, or where the run fails. Memory counts what processes share in part for each (PSS). /dev/shm is the machine's.
--keep puts the judgements and the figure into recipes/evidence, of which `scripts.reproduce.results --write` makes a
section of RESULTS.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import psutil

from scripts.everything import EVERYTHING
from scripts.soak_flatness import STEP, TIME, Series, Slope, draw, series_of, slopes
from scripts.soak_page import KEPT
from scripts.soak_reading import append, look, read
from verl_dots.reporting.rows import read_rows
from verl_dots.reporting.runs import METRICS_FILE, read_run
from verl_dots.terminal import output

ROOT = Path(__file__).parents[1]
SAVING_SECONDS = 600.0  # in which a run that is told to end saves its step
LOOKS = ("data.val_max_samples=32", "trainer.test_freq=50", "trainer.save_freq=50")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000, help="of the run (default: %(default)s)")
    parser.add_argument("--out", default="runs/soak", help="folder for all of it (default: %(default)s)")
    parser.add_argument("--recipe", default="recipes/cpu/all.sh", help="that is run (default: %(default)s)")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks (default: %(default)s)")
    parser.add_argument(
        "--after", type=int, help="step from which figures are judged (default: a quarter of the steps)"
    )
    parser.add_argument("--keep", action="store_true", help="the judgements and the figure in recipes/evidence")
    parser.add_argument(
        "--note", default="", help="with --keep: what a reader must know of how the run was made (default: nothing)"
    )
    parser.add_argument("overrides", nargs="*", help="of the recipe")
    args = parser.parse_args(argv)
    args.after = args.steps // 4 if args.after is None else args.after
    return args


def rows_of(run: Path) -> dict[int, dict]:
    """Metrics by step; of a run that has written none yet, none."""
    path = run / METRICS_FILE
    return read_rows(path).by_step if path.exists() else {}


def step_times(rows: Mapping[int, Mapping[str, float]]) -> dict[int, float]:
    """Seconds of each step, without those of its checkpoint."""
    return {
        step: row["timing_s/step"] - row.get("timing_s/save_checkpoint", 0.0)
        for step, row in rows.items()
        if row.get("timing_s/step") is not None
    }


def train(args: argparse.Namespace, out: Path) -> int:
    """Run the recipe to its end, and look at it meanwhile; its exit status."""
    run, samples = out / "run", out / "samples.csv"
    launch = 1 + max((sample.launch for sample in read(samples)), default=-1) if samples.exists() else 0
    variables = dict(os.environ, PYTHONPATH=str(ROOT), RUN=str(run), STEPS=str(args.steps), CACHE=str(out / "cache"))
    command = ["bash", args.recipe, *EVERYTHING, *LOOKS, *args.overrides]
    with (out / "log").open("a") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            top = psutil.Process(process.pid)
            while process.poll() is None:
                if rows := rows_of(run):
                    append(samples, look(top, run, launch, max(rows)))
                time.sleep(args.every)
        except KeyboardInterrupt:
            process.terminate()  # it saves and ends
            process.wait(SAVING_SECONDS)
            raise
    return process.returncode


def keep(found: list[Slope], series: Series, args: argparse.Namespace, run: Path) -> None:
    """Put the judgements and the figure, without single samples, where the results page takes them from."""
    info = read_run(run)
    step_N = series[STEP, TIME][0]
    told = {"steps": args.steps, "first": int(step_N[0]), "last": int(step_N[-1]), "after": args.after}
    told |= {"machine": info.machine, "commit": info.commit, "note": args.note}
    text = json.dumps(told | {"slopes": [asdict(slope) for slope in found]}, indent=1)
    KEPT.write_text(text + "\n")
    draw(series, KEPT.with_suffix(""), kinds=("svg",), samples=False)


def verdict(found: list[Slope]) -> str:
    """The last line: what is not flat, or that all is."""
    lacking = [slope for slope in found if slope.verdict != "flat"]
    if not lacking:
        return f"flat: all of {len(found)} figures"
    names = "; ".join(f"{slope.of}, {slope.quantity} {slope.verdict}" for slope in lacking)
    return f"not flat: {len(lacking)} of {len(found)} figures: {names}"


def main(argv: list[str] | None = None) -> int:
    """Run, judge and draw."""
    args = arguments(argv)
    out = Path(args.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    if max(rows_of(out / "run"), default=0) < args.steps and (status := train(args, out)):
        tail = "\n".join((out / "log").read_text().splitlines()[-20:])
        sys.exit(f"soak: the run ended with status {status}; its last words, of {out / 'log'}:\n{tail}")
    if not (out / "samples.csv").exists():
        sys.exit(f"soak: there is no {out / 'samples.csv'}: the run was over before the first look; lower --every")
    series = series_of(read(out / "samples.csv"), step_times(rows_of(out / "run")))
    found = slopes(series, args.after)
    draw(series, out / "soak")
    if args.keep:
        keep(found, series, args, out / "run")
    console = output()
    for slope in found:
        console.print(str(slope))
    if not found:
        console.print(f"nothing to judge: no figure has two samples after step {args.after}; run more steps")
        return 1
    console.print(verdict(found))
    return int(any(slope.verdict != "flat" for slope in found))


if __name__ == "__main__":
    sys.exit(main())
