"""What a step of a paper's recipe takes on its own GPUs, by the estimates of recipes/evidence/gpu.yaml."""

import math
import shlex

import yaml

from verl_dots.doctor.context import ROOT

RECIPES = ROOT / "recipes"
TABLE = RECIPES / "evidence" / "gpu.yaml"


def step_seconds(recipe: str) -> float | None:
    """Seconds of a step; None where the table has no such recipe. A method that it lacks has the longest of the others.

    Args:
        recipe: as a user names it, with its method.
    """
    script, *words = shlex.split(recipe)
    path = ROOT / script
    if not path.is_relative_to(RECIPES) or not TABLE.is_file():
        return None
    name, table = path.relative_to(RECIPES).with_suffix("").as_posix(), yaml.safe_load(TABLE.read_text())
    if name not in table["rows"]:
        return None
    entry = table["papers"][name.split("/")[0]] | table["rows"][name]
    hours = entry.get("hours", {})
    seconds = {method: each * 3600 / entry["steps"] for method, each in hours.items()} or entry["seconds"]
    return math.prod(entry.get("times", {}).values()) * seconds.get("".join(words[:1]), max(seconds.values()))
