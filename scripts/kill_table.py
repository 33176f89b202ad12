"""The table of kills in verl_dots/training/FAULTS.md: `python -m scripts.kill_table [--keep OUT] [--write]`.

--keep reads the folder of a kill test (`scripts.fault_test --out OUT`) into recipes/evidence/results/kills.csv. --write
makes the table of that file. With neither: exit 1 if the table is not that of the file.
"""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.faults.campaign import IDENTICAL, outcomes_in
from scripts.sections import asked, settle, with_section

ROOT = Path(__file__).parents[1]
KEPT, DOCUMENT = ROOT / "recipes/evidence/results/kills.csv", ROOT / "verl_dots/training/FAULTS.md"
SECTION, SCRIPT = "kills", "python -m scripts.kill_table"
COLUMNS = ("killed", "in", "seen_in_it", "after_step", "seconds_to_end", "seconds_left_over", "outcome", "commit")


def rows_of(out: Path) -> list[dict[str, str]]:
    """One a kill that came at its moment, in the columns of the kept file."""
    commit = json.loads((out / "kills.jsonl").read_text().splitlines()[0])["settings"]["commit"] or "not recorded"
    return [
        {
            "killed": kill["target"],
            "in": kill["during"],
            "seen_in_it": "yes" if kill["held"] else "no",
            "after_step": str(kill["step"]),
            "seconds_to_end": f"{kill['seconds']:.1f}",
            "seconds_left_over": f"{kill['survived']['seconds']:.1f}",
            "outcome": outcome,
            "commit": commit,
        }
        for _, kill, outcome in outcomes_in(out)
    ]


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A row for each process that was killed, and a last sentence with both counts."""
    of: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        of[row["killed"]].append(row)
    lines = ["| killed | in | kills | identical | ended within (s) |", "|---|---|---:|---:|---:|"]
    for killed, its in sorted(of.items(), key=lambda item: -len(item[1])):
        counts = Counter(sorted(row["in"] for row in its)).most_common()
        during = ", ".join(f"{name} {count}" for name, count in counts)
        same = sum(row["outcome"] == IDENTICAL for row in its)
        longest = max(float(row["seconds_to_end"]) for row in its)
        lines.append(f"| {killed} | {during} | {len(its)} | {same} | {longest:.0f} |")
    same = sum(row["outcome"] == IDENTICAL for row in rows)
    seen = sum(row["seen_in_it"] == "yes" for row in rows)
    told = (
        f"{len(rows)} kills, {same} identical. In {seen} of them the run was seen in that part of its work as it died."
    )
    return "\n".join([*lines, "", told, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Keep, write, or compare."""
    options = asked(__doc__, arguments, keep=("OUT", "take the kills of this folder in place of those before"))
    if options.keep:
        with KEPT.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows_of(options.keep))
    with KEPT.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return settle(DOCUMENT, with_section(DOCUMENT, SECTION, SCRIPT, table(rows)), options.write)


if __name__ == "__main__":
    raise SystemExit(main())
