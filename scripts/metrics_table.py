"""The table of the stages' metrics, from what each stage declares: `python -m scripts.metrics_table [--write]`.

Without --write: exit 1 if the table in verl_dots/training/METRICS.md is not the one that the stages declare now.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

from scripts import sections
from verl_dots.processes.environment import prepare_environment

DOCUMENT = Path(__file__).parents[1] / "verl_dots/training/METRICS.md"
SECTION, SCRIPT = "metrics of the stages", "python -m scripts.metrics_table"


def declared() -> Mapping[str, Mapping[str, str]]:
    """Stage -> metric -> what it means, as the stages have it."""
    prepare_environment(cpu=True)  # before verl is imported, which tells of devices and engines that are not there
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* engine is not available")
        from verl_dots.methods.table import METHODS

    found: dict[str, dict[str, str]] = {}
    for stage in METHODS:
        own = {f"{stage.name}/{name}": meaning for name, meaning in stage.METRICS.items()}
        found[stage.name] = own | found.get(stage.name, {})
    return {stage: metrics for stage, metrics in found.items() if metrics}


def table(stages: Mapping[str, Mapping[str, str]]) -> str:
    """The table, as markdown, in the order of the stages.

    Raises:
        ValueError: two stages declare the same metric.
    """
    rows, owner = [], {}
    for stage, metrics in stages.items():
        for name, meaning in metrics.items():
            if name in owner:
                raise ValueError(f"{name} is declared by {owner[name]} and by {stage}; one of them must rename it")
            owner[name] = stage
            rows.append((stage, f"`{name}`", meaning))
    return sections.table(("stage", "metric", "meaning"), rows)


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the table."""
    write = sections.asked_to_write(__doc__, arguments)
    return sections.settle(DOCUMENT, sections.with_section(DOCUMENT, SECTION, SCRIPT, table(declared())), write)


if __name__ == "__main__":
    raise SystemExit(main())
