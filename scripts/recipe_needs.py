"""Table of the recipes' README: GPU hours, memory and disk of each; `python -m scripts.recipe_needs [--write]`.

Without --write: exit 1 if the README's is not the one that formulas and recipes/evidence/gpu.yaml give now.
"""

from functools import cache

import yaml
from omegaconf import DictConfig, OmegaConf

from scripts import sections
from scripts.paper_settings import README, RECIPES
from scripts.reproduce.cluster import Row, read_rows
from verl_dots.doctor.footprint import CHECKPOINTS, footprint_of
from verl_dots.launch.compose import compose
from verl_dots.launch.recipes import overrides_of
from verl_dots.processes.environment import prepare_environment
from verl_dots.sizes import GB
from verl_dots.training.shapes import shape_of

SECTION, SCRIPT = "needs", "python -m scripts.recipe_needs"
GPU, MEMORY = "h100", 85 * GB  # of one with 80 GiB
HEAD = (
    "recipe", "GPUs", "GPU hours of a run", "update (GB)", "rollouts (GB)", "responses in the cache", "RAM (GB)",
    f"disk, {CHECKPOINTS} checkpoints (GB)",
)  # fmt: skip


def config_of(recipe: str, method: str) -> DictConfig:
    """What a recipe trains with, as far as memory depends on it; its data need not be there."""
    given = dict(each.split("=", 1) for each in overrides_of(RECIPES / f"{recipe}.sh", method, PREDICTOR="online"))
    config = _of_preset(given.pop("dots.preset")).copy()
    for key, value in given.items():
        OmegaConf.update(config, key.lstrip("+"), yaml.safe_load(value), force_add=True)
    return config


@cache
def _of_preset(name: str) -> DictConfig:
    return compose([f"dots.preset={name}"])


def table() -> str:
    """A row a recipe, as markdown; memory and disk are those of the paper's own method."""
    rows, _ = read_rows(RECIPES / "evidence" / "gpu.yaml", GPU)
    return sections.table(HEAD, map(_cells, rows), "l" + "r" * (len(HEAD) - 1))


def _cells(row: Row) -> list[str]:
    *_, own = row.hours
    config = config_of(row.recipe, own)
    needs = footprint_of(config, shape_of(config.actor_rollout_ref.model.path), MEMORY)
    hours = ", ".join(f"`{method}` {hours * row.gpus:.0f}" for method, hours in row.hours.items())
    sizes = (needs.update, needs.rollouts, needs.sequences * GB, needs.host, needs.disk)
    return [f"`{row.recipe}.sh`", str(row.gpus), hours, *(f"{size / GB:,.0f}" for size in sizes)]


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the README's table."""
    write = sections.asked_to_write(__doc__, arguments)
    prepare_environment(cpu=True)  # before verl is imported; no GPU is needed here
    return sections.settle(README, sections.with_section(README, SECTION, SCRIPT, table()), write)


if __name__ == "__main__":
    raise SystemExit(main())
