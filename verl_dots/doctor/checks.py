"""All checks, in the order in which they run: what costs least and explains most comes first."""

import math

from verl_dots.config import PRESETS
from verl_dots.doctor.context import STEPS, Context
from verl_dots.doctor.running import Check
from verl_dots.doctor.step_seconds import step_seconds
from verl_dots.training.parts import has_critic, has_reference

RUN_SECONDS = 600  # of a run of three steps; most of it is the start
FETCH_SECONDS = 3600  # of a model: 15 GB at 5 MB/s
LARGE_START_SECONDS = 1200  # of a recipe's own run: model, engine, a validation and a save
MARGIN = 1.5  # a step may be longer than the paper's

CHECKS: tuple[Check, ...] = (
    Check("versions", "software.versions", 60),
    Check("toolchain", "software.toolchain", 60),
    Check("gpus", "hardware.gpus", 120),
    Check("network", "hardware.network", 120, device=True),
    Check("host", "hardware.host", 60),
    Check("backbone", "difficulty.backbone", FETCH_SECONDS),
    Check("recipe", "model.recipe", 300),
    Check("model", "model.model", 120),
    Check("attention", "model.attention", 120, device=True),
    Check("difficulty", "difficulty.difficulty", 120, device=True),
    Check("engine", "engine.engine", 300, device=True),
    Check("sync", "runs.sync", RUN_SECONDS, "recipe", device=True),
    Check("critic", "runs.critic", RUN_SECONDS, "all", device=True),
    Check("kl", "runs.penalty", RUN_SECONDS, "all", device=True),
    *(Check(f"preset_{name}", "runs.preset", RUN_SECONDS, "all", device=True, given=(name,)) for name in PRESETS),
    Check("life", "life.life", 3 * RUN_SECONDS, "recipe", device=True),
    Check("stages", "life.stages", 3 * RUN_SECONDS, "all", device=True),
)


def needed_by(context: Context) -> set[str]:
    """Names of the checks of `all` that look at what a recipe trains: its preset, its critic, its KL term."""
    names = {f"preset_{context.config.dots.preset}"}
    names |= {"critic"} if has_critic(context.config) else set()
    return names | ({"kl"} if has_reference(context.config) else set())


def seconds_of(check: Check, context: Context) -> int:
    """What a check may take. Three steps of a recipe take longer where those of its paper did."""
    known = step_seconds(context.recipe) if check.name == "stages" else None
    if known is None:
        return check.seconds
    return max(check.seconds, math.ceil(STEPS * MARGIN * known + LARGE_START_SECONDS))
