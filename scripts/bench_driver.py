"""What a step takes and holds on the driver, by stage, and how both grow: `python -m scripts.bench_driver`.

    python -m scripts.bench_driver --rows 256 1024 4096 --tokens 2048 8192 --repeats 3 [--keep FILE] [--write]

Synthetic rollouts go through verl's TransferQueue and all that the trainer does in a step with half of its batch
replayed, E3's budgets and temperature, AdaRFT and DASH's filter. Forward passes and the update are left out; columns of
their shape take their place. Each size has a process and a Ray of its own. Prints seconds and memory by stage, then the
greatest exponents, and `superlinear: NAMES or none`. Status 1 where something grows with an exponent above --bound.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table

from scripts.driver import figure, page
from scripts.driver.growth import BOUND, growths, stages_of, superlinear
from scripts.driver.meters import AWAY
from verl_dots.terminal import errors, output
from verl_dots.training import origin

FOLDER = Path(__file__).parents[1] / "recipes/evidence"
DATA, FIGURE = FOLDER / "driver.json", FOLDER / "driver.svg"
CELL_SECONDS = 3600.0


def measured(rows: int, tokens: int, repeats: int, seed: int) -> dict[str, Any]:
    """One size, in a process of its own.

    Raises:
        RuntimeError: it failed; the message has the end of what it wrote.
    """
    command = [sys.executable, "-m", "scripts.driver.cell", *map(str, (rows, tokens, repeats, seed))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CELL_SECONDS)
    if done.returncode:
        raise RuntimeError(f"{rows} rows of {tokens} tokens: {done.stderr[-2000:]}")
    # What verl has said may come after it, from a buffer.
    return rounded(json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))))


def rounded(value: Any) -> Any:
    """The same with milliseconds."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 3) if isinstance(value, float) else value


def machine() -> str:
    """The processor and its cores."""
    found = origin.machine()
    return f"{found['cpu']}, {found['cores']} cores"


def shown(table: Any) -> Table:
    """A table of the page, for the terminal."""
    found = Table(title=table.title)
    for column in table.columns:
        found.add_column(column.title)
    for row in table.sections[0].rows:
        found.add_row(*row)
    return found


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_driver", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[256, 1024, 4096], help="rollouts (default: 256 1024 4096)"
    )
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 8192], help="longest (default: 2048 8192)")
    parser.add_argument(
        "--most", type=int, default=1 << 26, help="leave sizes of more tokens out (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, default=3, help="steps that are measured (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of lengths, tokens, rewards (default: %(default)s)")
    parser.add_argument("--bound", type=float, default=BOUND, help="of exponents (default: %(default)s)")
    parser.add_argument(
        "--keep", type=Path, help="add sizes to this file, and leave out those that it has (default: none)"
    )
    parser.add_argument("--write", action="store_true", help="keep in recipes/evidence/driver.json, and draw beside it")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, keep, draw and judge."""
    options = arguments(given)
    file = DATA if options.write else options.keep
    cells = json.loads(file.read_text())["cells"] if file and file.exists() else []
    there = {(cell["rows"], cell["tokens"]) for cell in cells}
    sizes = [(rows, tokens) for rows in options.rows for tokens in options.tokens]
    for rows, tokens in sorted(sizes, key=lambda size: size[0] * size[1]):
        if (rows, tokens) in there or rows * tokens > options.most:
            continue
        errors().print(f"{rows} rollouts of up to {tokens} tokens")
        code = {"commit": origin.commit(), "date": f"{date.today()}"}
        cells.append(code | measured(rows, tokens, options.repeats, options.seed))
        if file:
            file.write_text(json.dumps({"machine": machine(), "cells": cells}) + "\n")
    if options.write:
        figure.write(cells, FIGURE)
    console = output()
    console.print(shown(page.seconds_table(cells)), shown(page.memory_table(cells)))
    for line in page.last_lines(cells):
        console.print(line, highlight=False)
    return int(bool(superlinear(growths(cells, stages_of(cells, [AWAY])), options.bound)))


if __name__ == "__main__":
    raise SystemExit(main())
