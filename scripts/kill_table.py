"""The table of kills in verl_dots/training/FAULTS.md: `python -m scripts.kill_table [--keep OUT] [--write]`.

--keep reads the folder of a kill test (`scripts.fault_test --out OUT`) into recipes/evidence/results/kills.csv. --write
makes the table of that file. With neither: exit 1 if the table is not that of the file.
"""

import csv
import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import sections
from scripts.faults.campaign import IDENTICAL, outcomes_in

ROOT = Path(__file__).parents[1]
KEPT, DOCUMENT = ROOT / "recipes/evidence/results/kills.csv", ROOT / "verl_dots/training/FAULTS.md"
SECTION, SCRIPT = "kills", "python -m scripts.kill_table"
COLUMNS = ("killed", "in", "seen_in_it", "after_step", "seconds_to_end", "seconds_left_over", "pause")
COLUMNS += ("outcome", "commit", "date")


def rows_of(out: Path) -> list[dict[str, str]]:
    """One a kill that came at its moment, in the columns of the kept file."""
    file = out / "kills.jsonl"
    commit = json.loads(file.read_text().splitlines()[0])["settings"]["commit"] or "not recorded"
    date = time.strftime("%Y-%m-%d", time.gmtime(file.stat().st_mtime))
    return [
        {
            "killed": kill["target"],
            "in": kill["during"],
            "seen_in_it": "yes" if kill["held"] else "no",
            "after_step": str(kill["step"]),
            "seconds_to_end": f"{kill['seconds']:.1f}",
            "seconds_left_over": f"{kill['survived']['seconds']:.1f}",
            "pause": f"{kill['pause']:.2f}",
            "outcome": outcome,
            "commit": commit,
            "date": date,
        }
        for _, kill, outcome in outcomes_in(out)
    ]


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A row for each process that was killed, and last sentences with both counts, the commit and the date."""
    of: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        of[row["killed"]].append(row)
    head, found = ("killed", "in", "kills", "identical", "ended within (s)", "started again after (s)"), []
    for killed, its in sorted(of.items(), key=lambda item: -len(item[1])):
        counts = Counter(sorted(row["in"] for row in its)).most_common()
        during = ", ".join(f"{name} {count}" for name, count in counts)
        same = sum(row["outcome"] == IDENTICAL for row in its)
        longest = max(float(row["seconds_to_end"]) for row in its)
        found.append((killed, during, str(len(its)), str(same), f"{longest:.0f}", _range(its)))
    same = sum(row["outcome"] == IDENTICAL for row in rows)
    seen = sum(row["seen_in_it"] == "yes" for row in rows)
    told = (
        f"{len(rows)} kills, {same} identical. In {seen} of them the run was seen in that part of its work as it died."
    )
    of_code = sorted({(row["commit"][:7], row["date"]) for row in rows})
    told += f" Killed were runs of {', '.join(f'commit {commit} on {date}' for commit, date in of_code)}."
    return f"{sections.table(head, found, 'llrrrr')}\n{told}\n"


def _range(rows: Sequence[Mapping[str, str]]) -> str:
    """Shortest and longest pause before the next start."""
    pauses = sorted(float(row["pause"]) for row in rows if row["pause"])
    return f"{pauses[0]:.2f} to {pauses[-1]:.2f}" if pauses else "not kept"


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep, write, or compare."""
    options = sections.asked(__doc__, arguments, keep=("OUT", "take the kills of this folder in place of those before"))
    if options.keep:
        with KEPT.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows_of(options.keep))
    with KEPT.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sections.settle(DOCUMENT, sections.with_section(DOCUMENT, SECTION, SCRIPT, table(rows)), options.write)


if __name__ == "__main__":
    raise SystemExit(main())
