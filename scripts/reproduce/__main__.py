"""Make all runs of a matrix, then tables, figures and a page of them; run again, it resumes.

    bash scripts/reproduce.sh --scale cpu                     recipes/evidence/cpu.yaml on this machine
    bash scripts/reproduce.sh --scale cpu --quick             two methods, one seed, few steps: 15 minutes
    bash scripts/reproduce.sh --scale cpu --time              the timing runs alone; nothing else may run beside them
    bash scripts/reproduce.sh --scale gpu                     the GPU hours of the papers' runs; --submit submits them
    python -m scripts.reproduce --matrix MINE.yaml            a matrix of your own, in the active environment

A round of timing runs that was cut is made again whole, unless it continues at once and in the same commit: times are
of one sitting. What there was of it is moved to the folder `cut`.

SIGTERM, or a file `stop` in the folder of the runs, lets runs save after their step; SIGINT ends all within seconds.
"""

from verl_dots.guard import guarded, tell

if __name__ == "__main__":
    guarded("reproduce", "the same command resumes")

import argparse  # noqa: E402
import shlex  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

from scripts.reproduce import cluster, plan  # noqa: E402
from scripts.reproduce.campaign import Campaign, Stopped, needed_inputs  # noqa: E402
from scripts.reproduce.matrix import Matrix, MatrixError, narrowed, quickened  # noqa: E402
from scripts.reproduce.matrix_file import read_matrix  # noqa: E402
from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN  # noqa: E402
from verl_dots.terminal import errors, output, sentence  # noqa: E402

ROOT = Path(__file__).parents[2]
MATRICES = ROOT / "recipes/evidence"
KEPT, CLAIMS = MATRICES / "results", MATRICES / "claims.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything is made, 1 when something failed, 2 when nothing could be begun."""
    options = _parse(arguments)
    try:
        if options.scale == "gpu":
            return cluster.main(options, MATRICES / "gpu.yaml", ROOT)
        matrix = _matrix(options)
        inputs = needed_inputs(matrix)
    except MatrixError as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    folder = options.runs or Path("runs") / f"reproduce-{matrix.name}"
    runs = plan.planned_runs(matrix, _kinds(options), folder)
    if options.dry_run:
        _show(inputs, runs)
        return 0
    campaign = Campaign(ROOT, folder, output(), options.jobs, options.keep_checkpoints)
    campaign.stop_file.unlink(missing_ok=True)
    tell(stop_file=str(campaign.stop_file.resolve()))
    try:
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        campaign.make_inputs(inputs)
        campaign.carry_out(runs)
    except Stopped:
        campaign.stop_file.unlink(missing_ok=True)
        output().print("Stopped; the same command resumes.")
        return 0
    tell(complete=True)
    status = 0 if options.no_evidence else _evidence(folder, options)
    for what, why in campaign.failed.items():
        errors().print(f"failed: {what}: {why}")
    return 1 if campaign.failed else status


def _matrix(options: argparse.Namespace) -> Matrix:
    matrix = read_matrix(options.matrix or MATRICES / f"{options.scale}.yaml")
    if options.quick:
        matrix = quickened(matrix)
    return narrowed(matrix, options.methods, options.combinations, options.seeds, options.steps, options.rounds)


def _kinds(options: argparse.Namespace) -> list[str]:
    """Timing runs come last, or alone."""
    return [TIMING_RUN] if options.time else [ACCURACY_RUN] if options.no_time else [ACCURACY_RUN, TIMING_RUN]


def _show(inputs: Sequence, runs: Sequence[plan.Planned]) -> None:
    """The commands that would run, in order."""
    console = output()
    for one in inputs:
        there = "" if not (ROOT / one.path).exists() else "# there: "
        for command in one.make:
            console.print(f"{there}OUT={one.path} bash -euo pipefail -c {shlex.quote(command)}")
    for run in runs:
        console.print(("# finished: " if plan.finished(ROOT / run.folder) else "") + run.shown)


def _evidence(folder: Path, options: argparse.Namespace) -> int:
    """Tables, figures and the page of what there is; with --check, whether it is what another machine had."""
    out = options.out or Path("report") / folder.name
    matrix = options.matrix or MATRICES / f"{options.scale}.yaml"
    words = [sys.executable, "-m", "verl_dots.evidence", str(folder), "--out", str(out), "--about", str(matrix)]
    words += ["--claims", str(CLAIMS), "--made-by", shlex.join(["bash", "scripts/reproduce.sh", *options.words])]
    if options.check:
        words += ["--check", str(KEPT)]
    return subprocess.run(words, cwd=ROOT).returncode


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bash scripts/reproduce.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    scale = parser.add_mutually_exclusive_group(required=True)
    scale.add_argument("--scale", choices=["cpu", "gpu"], help="the matrix of recipes/evidence")
    scale.add_argument("--matrix", type=Path, metavar="FILE", help="another matrix for this machine")
    parser.add_argument("--quick", action="store_true", help="the small matrix, in folders of its own")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="accuracy runs at once (default: 1)")
    parser.add_argument("--time", action="store_true", help="timing runs alone")
    parser.add_argument("--no-time", action="store_true", help="no timing runs")
    for name in ("methods", "combinations"):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="NAME", help=f"some of the {name}")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], metavar="N", help="other seeds")
    parser.add_argument("--rounds", nargs="+", type=int, default=[], metavar="N", help="some rounds of timing runs")
    parser.add_argument("--steps", type=int, metavar="N", help="steps of every run, in place of the matrix's")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, and nothing else")
    parser.add_argument("--keep-checkpoints", action="store_true", help="of finished runs, which are removed otherwise")
    parser.add_argument("--no-evidence", action="store_true", help="make runs alone, no tables and figures")
    parser.add_argument("--check", action="store_true", help="compare fingerprints with recipes/evidence/results")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs (default: runs/reproduce-NAME)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="of the results (default: report/reproduce-NAME)")
    cluster.add_options(parser)
    options = parser.parse_args(arguments)
    options.words = sys.argv[1:] if arguments is None else list(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs} must be 1 or more")
    if options.time and options.no_time:
        parser.error("--time and --no-time exclude each other")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
