"""Find out in minutes whether a run can succeed on this machine.

    export PREDICTOR=online
    python -m verl_dots.doctor --recipe "recipes/dots/math-1.5b_math.sh dots_rr" --quick
    python -m verl_dots.doctor --recipe "recipes/dots/math-1.5b_math.sh dots_rr"
    python -m verl_dots.doctor --recipe "recipes/dots/math-1.5b_math.sh dots_rr" --all --json doctor.json
    python -m verl_dots.doctor device=cpu --quick

Each check runs in a process of its own, with a time limit, and adds rows to one table: what was found, what it must
be, and what to do. What cannot run is skipped, with the reason. Without --quick the recipe's preset trains for three
steps with a tiny model, by the launch of every other run. GRPO takes new weights to the engine, saves and resumes; a
critic and a KL term train where the recipe has them. --all is every preset, and three steps of the recipe itself.
Everything of the form KEY=VALUE is an override of the recipe's. With DRY_RUN=1 the checks are named and none runs.
Exit: 0 when nothing failed, 1 when something did, 2 when the recipe cannot be read.
"""

import argparse
import json
import logging
import os
import shlex
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("doctor", "all checks of it have ended, too")

from hydra.errors import HydraException

from verl_dots.doctor.checks import CHECKS, needed_by, seconds_of
from verl_dots.doctor.context import ROOT, CheckFailed, Context
from verl_dots.doctor.rows import Row, as_json, table
from verl_dots.doctor.running import chosen, run_check
from verl_dots.files import OutputError, holds_json, try_folder, try_output, write_atomically
from verl_dots.launch.recipes import RecipeError, overrides_of
from verl_dots.processes.environment import prepare_environment
from verl_dots.settings import ConfigError
from verl_dots.terminal import errors, output
from verl_dots.training import origin

RUNS = Path("runs") / "doctor"
ON_GPUS, ON_CPU = "recipes/dots/math-1.5b_math.sh grpo", "recipes/cpu/grpo.sh"
PREDICTOR, WITHOUT_FILES = "PREDICTOR", "online"
CHECKPOINT = "dots.difficulty.checkpoint="  # of the paper's predictor, which a recipe takes where PREDICTOR is not set


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(arguments)
    work = None
    try:
        work = _work(options.work)
        if options.json:
            try_output(options.json, option="--json", made=holds_json("counts", "rows"))
        context = asked(options, work)
        about, needed = about_of(context, options), needed_by(context)
    except (RecipeError, ConfigError, HydraException, OutputError, CheckFailed, OSError) as error:
        errors().print(f"doctor: {error}")
        _leave_nothing(work, options)
        return 2
    checks = chosen(CHECKS, options.only, options.level, needed)
    if os.environ.get("DRY_RUN"):  # as the recipes have it
        names = ", ".join(check.name for check in checks)
        errors().print(f"doctor: DRY_RUN: of {context.recipe} it would look at {names}")
        _leave_nothing(work, options)
        return 0
    console = output()
    errors().print(f"doctor: logs and runs in {work}")
    rows: list[Row] = []
    for check in checks:
        seconds = int(seconds_of(check, context) * options.patience)
        errors().print(f"doctor: {check.name}, at most {seconds} s")
        rows += run_check(replace(check, seconds=seconds), context)
        if options.json:  # what is known so far, should the rest be ended
            _write(options.json, rows, about)
    console.print(f"{context.recipe}: {context.model}, rollouts by {context.engine}; logs in {work}")
    console.print(table(rows))
    counts = as_json(rows)["counts"]
    console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return int(counts["fail"] > 0)


def _work(given: str | None) -> Path:
    """The folder for logs and runs: on a node of a cluster one for temporary files would end with the job.

    Raises:
        OutputError: nothing can be written there.
    """
    place = Path(given) if given else RUNS
    try_folder(place, f"--work {place}")
    place.mkdir(parents=True, exist_ok=True)
    if given:
        return place.absolute()
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    return Path(tempfile.mkdtemp(prefix=f"{began}-{socket.gethostname()}-", dir=place)).absolute()


def _leave_nothing(work: Path | None, options: argparse.Namespace) -> None:
    """Remove the folder that was made for a call in which no check has run."""
    if work and not options.work:
        shutil.rmtree(work, ignore_errors=True)


def _write(file: Path, rows: Sequence[Row], about: Mapping[str, Any]) -> None:
    text = json.dumps(as_json(rows, about), indent=2) + "\n"
    write_atomically(file, lambda partial: partial.write_text(text))


def about_of(context: Context, options: argparse.Namespace) -> dict[str, Any]:
    """What a kept table is of: code, date, machine, and what was asked for."""
    return {
        "commit": origin.commit(), "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": origin.machine(), "recipe": context.recipe, "model": context.model, "engine": context.engine,
        "checks": options.only or options.level,
    }  # fmt: skip


def asked(options: argparse.Namespace, work: Path) -> Context:
    """The context of a command line.

    Raises:
        RecipeError, ConfigError, HydraException: the recipe or an override cannot be read.
    """
    cpu = "device=cpu" in options.overrides
    recipe = options.recipe or (ON_CPU if cpu else ON_GPUS)
    script, *words = shlex.split(recipe)
    path = Path(script) if Path(script).is_absolute() else ROOT / script
    if not path.is_file():
        raise RecipeError(f"--recipe: there is no {path}; recipes/README.md names them")
    model = {"MODEL": options.model} if options.model else {}
    given, settled = _given(path, words, model)
    # A recipe names its device itself, or is for GPUs.
    more = [override for override in options.overrides if override not in given]
    context = Context(str(work), recipe, (*given, *more), 0, settled)
    prepare_environment(context.cpu)
    logging.basicConfig(level=logging.WARNING)
    if model or not cpu or options.recipe:
        return replace(context, gpus=0 if context.cpu else _gpus(context))
    # The recipes of recipes/cpu make their model and data when they start: here they are made of the work folder's.
    made = (
        f"actor_rollout_ref.model.path={context.tiny_model()}",
        f"data.train_files={context.questions()}/train.parquet", f"data.val_files={context.questions()}/val.parquet",
    )  # fmt: skip
    return replace(context, overrides=(*context.overrides, *made))


def _gpus(context: Context) -> int:
    import torch

    return min(torch.cuda.device_count(), context.config.trainer.n_gpus_per_node)


def _given(recipe: Path, words: Sequence[str], model: Mapping[str, str]) -> tuple[list[str], str]:
    """The overrides of a recipe, and NAME=VALUE of the variable that had to be set for them.

    A run would be refused without it. The other checks can look at the recipe all the same.
    """
    own = overrides_of(recipe, *words, **model)
    folders = [override.removeprefix(CHECKPOINT) for override in own if override.startswith(CHECKPOINT)]
    if PREDICTOR in os.environ or all((ROOT / folder).is_dir() for folder in folders):
        return own, ""
    return overrides_of(recipe, *words, **model, PREDICTOR=WITHOUT_FILES), f"{PREDICTOR}={WITHOUT_FILES}"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.doctor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides above the recipe's; device=cpu")
    parser.add_argument(
        "--recipe", metavar="'R [METHOD]'", help=f"whose needs are looked at (default: {ON_GPUS}; on a CPU {ON_CPU})"
    )
    parser.add_argument("--model", metavar="M", help="a folder or hub id, in place of the recipe's (default: that)")
    level = parser.add_mutually_exclusive_group()
    level.add_argument(
        "--quick", dest="level", action="store_const", const="quick", default="recipe",
        help="train nothing (default: runs of the recipe's preset, too)",
    )  # fmt: skip
    level.add_argument(
        "--all", dest="level", action="store_const", const="all", default="recipe",
        help="every preset, a critic, a KL term, three steps of the recipe itself (default: what the recipe has)",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", default=[], choices=[check.name for check in CHECKS], metavar="NAME",
        help="these checks alone (default: by the level): " + " ".join(check.name for check in CHECKS),
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too (default: nowhere)")
    parser.add_argument("--work", metavar="FOLDER", help=f"for logs and runs (default: a new one below {RUNS})")
    parser.add_argument(
        "--patience", type=float, default=1.0, metavar="X", help="multiplies every time limit (default: %(default)s)"
    )
    options = parser.parse_intermixed_args(arguments)
    wrong = [override for override in options.overrides if "=" not in override]
    if wrong or options.patience <= 0:
        parser.error(f"{wrong[0]!r} is no KEY=VALUE" if wrong else f"--patience {options.patience}: must be above 0")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
