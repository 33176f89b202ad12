"""Kill short runs at random moments, start them again, and compare them with an undisturbed run.

    python -m scripts.fault_test --kills 100 [--seed 1] [--out runs/faults] [OVERRIDE ...]

A run has all methods on that go together (scripts/everything.py). Every second one saves each second step, the others
each. SIGKILL reaches one of its processes or all of them, at a moment that is drawn: at the start, in a step, a
selection, a replay, an update, a save. SLURM's two signals are among them. Within a second of its end the same command
is started again. A run that has come to its end must have the rows and the last checkpoint of the undisturbed run, bit
for bit. One that is killed in part must end within a limit, say why, leave no process behind, and lose no step with a
process that only rolled out.

The same command resumes: kills that are done are not repeated. What differs or hangs is kept in a folder of its chain.

    last line: N kills, M identical        status 1 where they are not the same number
"""

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("fault_test", "the same command resumes")

import argparse
import logging
import sys
from pathlib import Path

from rich.box import SIMPLE
from rich.table import Table

from scripts.faults.campaign import IDENTICAL, Campaign, outcomes_in
from verl_dots.settings import Refusal
from verl_dots.terminal import errors, output
from verl_dots.training.origin import commit

WIDTH = 140  # of the table, in characters, at least


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.fault_test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100, help="in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of moments (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/faults"), help="folder (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="of a run (default: %(default)s)")
    parser.add_argument(
        "--chain", type=int, default=6, help="kills of one run, before it is left to its end (default: %(default)s)"
    )
    parser.add_argument(
        "--limit", type=float, default=180.0,
        help="seconds in which a run must end once a process of it has died (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("overrides", nargs="*", help="of the recipe")
    args = parser.parse_args(argv)
    if min(args.kills, args.steps, args.chain) < 1 or args.limit <= 0:
        parser.error("--kills, --steps, --chain and --limit must be above 0")
    return args


def table(out: Path) -> Table:
    """A row for each kill of a folder."""
    made = Table(box=SIMPLE)
    for name in ("kill", "chain", "killed", "in", "after step", "ended in (s)", "left for (s)"):
        made.add_column(name, no_wrap=True)
    made.add_column("outcome", overflow="fold")
    for number, kill, outcome in outcomes_in(out):
        during = kill["during"] if kill["held"] else f"({kill['during']})"
        seconds = f"{kill['seconds']:.1f}", f"{kill['survived']['seconds']:.1f}"
        made.add_row(
            str(number), str(kill["chain"]), kill["target"], during, str(kill["step"]), *seconds, outcome[:120]
        )
    return made


def main(argv: list[str] | None = None) -> int:
    """Kill, compare, and tell; 1 where a kill has left a trace."""
    args, console = arguments(argv), output()
    # A checkpoint's tensors are read in a process that has no process groups.
    logging.getLogger("torch.distributed.device_mesh").setLevel(logging.ERROR)
    out = args.out.resolve()

    def say(text: str) -> None:
        console.print(f"{campaign.counted()}/{args.kills}  {text}")

    try:
        campaign = Campaign(out, args.seed, args.steps, args.chain, args.limit, args.overrides, commit(), say)
        campaign.go(args.kills)
    except (Refusal, RuntimeError) as error:
        errors().print(f"fault_test: {error}")
        return 2
    outcomes = [outcome for _, _, outcome in outcomes_in(out)]
    console.width = max(WIDTH, console.width)
    console.print(table(out))
    console.print("in brackets: over before the kill came. left for: how long processes outlived the command")
    same = outcomes.count(IDENTICAL)
    console.print(f"{len(outcomes)} kills, {same} identical")
    return 0 if same == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
