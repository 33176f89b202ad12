"""Tables and figure of the results in recipes/cpu/results.csv: `python -m scripts.testbed_results [--write]`.

The tables stand in recipes/cpu/README.md, the figure is recipes/cpu/accuracy.svg. Without --write: exit 1
if a table is not the one of the data. An empty cell of the data is a figure that there is none of.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.sections import asked_to_write, settle, with_section

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes/cpu"
DATA, FIGURE = FOLDER / "results.csv", FOLDER / "accuracy.svg"
SCRIPT = "scripts/testbed_results.py"
NOTHING = "–"
TIMES = {"at_15": "15", "at_30": "30", "at_42": "42"}  # column -> steps of GRPO
# section -> (document, heading -> columns of the data; two columns are mean and deviation)
TABLES: Mapping[str, tuple[Path, Mapping[str, Sequence[str]]]] = {
    "accuracy and cost": (
        FOLDER / "README.md",
        {
            "preset": ("preset",),
            "final (%)": ("final", "final_sd"),
            "time of a step": ("step_time",),
            **{f"% after {steps} steps' time": (column,) for column, steps in TIMES.items()},
            "steps to 71.4 %": ("steps_to_final",),
            "time to it": ("time_to_final",),
            "tokens to it (k)": ("tokens_k",),
        },
    ),
    "way to the accuracy": (
        FOLDER / "README.md",
        {
            "preset": ("preset",),
            "steps to 50 % of GRPO's gain": ("to_50",),
            "to 75 %": ("to_75",),
            "to 90 %": ("to_90",),
            "effective groups (%)": ("effective",),
            "all-wrong groups (%)": ("all_wrong",),
        },
    ),
}


def read() -> list[dict[str, str]]:
    """The rows of the data, one a preset."""
    with DATA.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: Sequence[Mapping[str, str]], columns: Mapping[str, Sequence[str]]) -> str:
    """A markdown table of some columns; mean and deviation stand as mean ± deviation."""
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    for row in rows:
        cells = [" ± ".join(row[name] for name in names) if row[names[0]] else NOTHING for names in columns.values()]
        cells[0] = f"`{cells[0]}`"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[Mapping[str, str]], file: Path) -> None:
    """Bars of the accuracy that each preset has in the time of some steps of GRPO."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "verl_dots", "font.size": 9}):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots()
        for place, (column, steps) in enumerate(TIMES.items()):
            lefts = [number + 0.28 * (place - 1) for number in range(len(rows))]
            bars = axes.bar(
                lefts,
                [float(row[column]) for row in rows],
                width=0.26,
                color=("#c6dbef", "#6baed6", "#2171b5")[place],
                label=f"{steps} steps of GRPO",
            )
            axes.bar_label(bars, [row[column] for row in rows], fontsize=6.5, padding=1)
        axes.set_xticks(range(len(rows)), [row["preset"] for row in rows])
        axes.set(ylim=(45, 80), ylabel="validation accuracy (%), from 45")
        axes.legend(title="in the time of", ncols=3, loc="upper left", fontsize=8, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> int:
    """Write tables and figure, or compare the tables."""
    write = asked_to_write(__doc__, arguments)
    rows, differs = read(), 0
    for name, (document, columns) in TABLES.items():
        differs |= settle(document, with_section(document, name, SCRIPT, table(rows, columns)), write)
    if write:
        draw(rows, FIGURE)
    return differs


if __name__ == "__main__":
    raise SystemExit(main())
