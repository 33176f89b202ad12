"""Table and figure of scripts/savings.sh: `python -m scripts.savings_results [--measure] [--write]`.

--measure reads the runs and writes recipes/cpu/savings.csv. --write puts the table of that file into
recipes/cpu/README.md and draws recipes/cpu/savings.svg. With neither: exit 1 if the table is not the one of the data.

A seed of a method is compared with the same seed of GRPO: the steps after which its validation, a trailing mean of
three, first has 75 and 90 % of GRPO's gain, and GRPO's final accuracy. Seconds of a step are of the runs with --time.
The time to an accuracy is steps times seconds of a step, as a multiple of GRPO's.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.sections import settle, with_section
from verl_dots.reporting import summary
from verl_dots.reporting.comparison import MethodSummary
from verl_dots.reporting.metric_means import seconds_per_step
from verl_dots.reporting.runs import Run, group_by_name, read_run
from verl_dots.reporting.selection import select

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes/cpu"
DATA, FIGURE, DOCUMENT = FOLDER / "savings.csv", FOLDER / "savings.svg", FOLDER / "README.md"
RUNS = Path("runs/savings/skewed")  # of scripts/savings.sh
SCRIPT, SECTION, BASELINE = "scripts/savings_results.py", "savings", "grpo"
NOTHING = "–"
# heading -> columns of the data: a figure, its standard deviation, or of how many seeds it is
COLUMNS = {
    "method": ("method",),
    "final (%)": ("final", "final_sd"),
    "effective groups (%)": ("effective",),
    "tokens of a step": ("step_tokens",),
    "time of a step": ("step_time", "step_time_sd"),
    "steps to 75 % of GRPO's gain": ("to_75", "to_75_sd"),
    "to 90 %": ("to_90", "to_90_sd"),
    "to its final accuracy": ("to_final", "to_final_sd"),
    "time to 75 %": ("time_75",),
    "time to 90 %": ("time_90",),
    "tokens to 90 %": ("tokens_90",),
}
MILESTONES = {"75": 0.75, "90": 0.9}


def reached(method: MethodSummary) -> dict[str, float]:
    """Steps and tokens of one seed until it has parts of the baseline's gain, and all of it; NaN for never."""
    places = {name: next(m.reach for m in method.milestones if m.share == share) for name, share in MILESTONES.items()}
    places["final"] = method.reach
    steps = {f"to_{name}": reach.steps if reach else np.nan for name, reach in places.items()}
    return steps | {f"tokens_{name}": reach.tokens if reach else np.nan for name, reach in places.items()}


def by_seed(groups: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """A row for each method and seed, compared with the baseline's run of that seed."""
    rows = []
    for run in groups[BASELINE]:
        same = {name: [other for other in runs if other.seed == run.seed] for name, runs in groups.items()}
        for method in summary.compare({name: runs for name, runs in same.items() if runs}, BASELINE).methods:
            figures = {"final": method.final.mean, "effective": method.effective_groups, "tokens": method.tokens}
            rows.append({"method": method.name, "seed": run.seed, **figures, **reached(method)})
    return pd.DataFrame(rows)


def measure(runs: Path, times: Path) -> list[dict[str, str]]:
    """The rows of the data. A figure that a seed has not is none of the method: a mean of the others would mislead."""
    groups = select(sorted(path for path in runs.iterdir() if path.is_dir() and path != times)).groups
    seeds = by_seed(groups)
    timed = group_by_name([read_run(path) for path in sorted(times.iterdir()) if path.is_dir()])
    seconds = {name: {run.seed: seconds_per_step(run.rows) for run in of_name} for name, of_name in timed.items()}
    grpo = seeds[seeds.method == BASELINE]
    found = []
    for name in [BASELINE, *(name for name in groups if name != BASELINE)]:
        of = seeds[seeds.method == name]
        same = grpo[grpo.seed.isin(of.seed)]
        ratios = [of_seed / seconds[BASELINE][seed] for seed, of_seed in seconds.get(name, {}).items()]
        step_time = float(np.mean(ratios)) if ratios else np.nan
        row = {"method": name, "seeds": str(len(of))}
        row |= written("final", 100 * of.final, 1) | {"effective": number(100 * of.effective.mean(), 0)}
        row |= {"step_tokens": number(of.tokens.mean() / same.tokens.mean(), 2)}
        row |= written("step_time", pd.Series(ratios, dtype=float), 2)
        for place in ("75", "90", "final"):
            row |= written(f"to_{place}", of[f"to_{place}"], 1)
            part = of[f"to_{place}"].mean(skipna=False) / same[f"to_{place}"].mean(skipna=False)
            row[f"time_{place}"] = number(part * step_time, 2)
            of_tokens = of[f"tokens_{place}"].mean(skipna=False) / same[f"tokens_{place}"].mean(skipna=False)
            row[f"tokens_{place}"] = number(of_tokens, 2)
        row["reached_final"] = str(int(of.to_final.notna().sum()))
        found.append(row)
    return found


def number(value: float, digits: int) -> str:
    """A figure as text; empty for none."""
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def written(name: str, values: pd.Series, digits: int) -> dict[str, str]:
    """Mean and sample standard deviation as texts."""
    mean = values.mean(skipna=False) if len(values) else np.nan
    return {name: number(mean, digits), f"{name}_sd": number(values.std(skipna=False), digits)}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """The markdown table; where not all seeds reach GRPO's final accuracy it says how many do."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    for row in rows:
        cells = [" ± ".join(row[name] for name in names if row[name]) or NOTHING for names in COLUMNS.values()]
        cells[0] = f"`{cells[0]}`"
        if not row["to_final"]:
            cells[list(COLUMNS).index("to its final accuracy")] = f"{row['reached_final']} of {row['seeds']} seeds"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[Mapping[str, str]], file: Path) -> None:
    """Time and tokens to 90 % of GRPO's gain, as multiples of GRPO's; a cross is one that not all seeds reach."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "verl_dots", "font.size": 9}):
        figure = Figure(figsize=(8, 3.8), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True)
        names = [row["method"] for row in rows][::-1]
        for panel, (what, colours) in zip(
            axes, {"time": ("#a6cee3", "#1f78b4"), "tokens": ("#fdbf6f", "#ff7f00")}.items(), strict=True
        ):
            for place, share, colour in ((0.2, "75", colours[0]), (-0.2, "90", colours[1])):
                values = [float(row[f"{what}_{share}"] or "nan") for row in rows][::-1]
                lines = [line + place for line in range(len(rows))]
                bars = panel.barh(lines, values, height=0.38, color=colour, label=f"to {share} % of GRPO's gain")
                texts = ["" if np.isnan(value) else f"{value:.2f}" for value in values]
                panel.bar_label(bars, texts, fontsize=6.5, padding=1)
                never = [line for line, value in zip(lines, values, strict=True) if np.isnan(value)]
                panel.plot([0.03] * len(never), never, "x", color=colour, markersize=5)
            panel.axvline(1, color="#666666", linewidth=0.8)
            panel.set(xlabel=f"{what}, GRPO = 1; x: not every seed gets there")
            panel.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
            panel.spines[["top", "right"]].set_visible(False)
            panel.margins(x=0.12)
        axes[0].set_yticks(range(len(rows)), names)
        figure.savefig(file, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, or compare the table."""
    parser = argparse.ArgumentParser(prog="python -m scripts.savings_results", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--measure", action="store_true", help="read the runs into recipes/cpu/savings.csv (default: take it as it is)"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the table into recipes/cpu/README.md and draw (default: compare)"
    )
    parser.add_argument(
        "--runs", type=Path, default=RUNS, help="folder of the runs, with --measure (default: %(default)s)"
    )
    parser.add_argument(
        "--times",
        type=Path,
        default=RUNS / "time",
        help="folder of the timing runs, with --measure (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.measure:
        rows = measure(options.runs, options.times)
        with DATA.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    with DATA.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if options.write:
        draw(rows, FIGURE)
    return settle(DOCUMENT, with_section(DOCUMENT, SECTION, SCRIPT, table(rows)), options.write)


if __name__ == "__main__":
    raise SystemExit(main())
