"""Start a training command, keep its output in a file, and show the progress that its run folder tells.

    python scripts/watch_run.py RUN_FOLDER LOG_FILE -- COMMAND [ARGUMENT ...]

Ends with the command's exit status; if that is not 0, with the end of the log too.
"""

import json
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

POLL_SECONDS = 0.5
LAST_LINES = 40


def newest_rows(folder: Path, seen: int) -> tuple[list[dict], int]:
    """Rows of metrics.jsonl after the first `seen` complete lines, and how many there are now."""
    file = folder / "metrics.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return [json.loads(line) for line in lines[seen:]], len(lines)


def describe(row: dict, accuracy: float | None) -> str:
    """One line about a step."""
    parts = []
    if "critic/score/mean" in row:
        parts.append(f"reward {row['critic/score/mean']:.2f}")
    if accuracy is not None:
        parts.append(f"validation {100 * accuracy:.1f} %")
    if "timing_s/step" in row:
        parts.append(f"{row['timing_s/step']:.1f} s/step")
    return "  ".join(parts)


def accuracy_of(row: dict) -> float | None:
    """Mean validation accuracy, if the row has one."""
    values = [value for key, value in row.items() if key.startswith("val-core/") and "/acc/mean@" in key]
    return sum(values) / len(values) if values else None


def main() -> None:
    """Run and show."""
    if "--" not in sys.argv or sys.argv.index("--") != 3:
        sys.exit(__doc__)
    folder, log, command = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:]
    log.parent.mkdir(parents=True, exist_ok=True)
    _, seen = newest_rows(folder, 0)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[state]}"))
    with log.open("ab") as output, Progress(*columns, TimeElapsedColumn(), console=Console()) as progress:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        task = progress.add_task(folder.name, total=None, state="starting Ray and the workers (about 40 s) ...")
        accuracy = None
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            rows, seen = newest_rows(folder, seen)
            for row in rows:
                measured = accuracy_of(row)
                if measured is not None:
                    accuracy = measured
                    progress.print(
                        f"  {folder.name}  step {row['step']:>4}  validation accuracy {100 * accuracy:5.1f} %"
                    )
                progress.update(task, completed=row["step"], state=f"step {row['step']}  {describe(row, accuracy)}")
        progress.update(task, state="done" if process.returncode == 0 else f"failed, see {log}")
    if process.returncode:
        with log.open(errors="replace") as text:
            sys.stderr.writelines(deque(text, LAST_LINES))
        sys.exit(process.returncode)


if __name__ == "__main__":
    main()
