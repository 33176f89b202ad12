"""Every recipe of the papers, and what a run of it would be composed of."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from scripts.recipe_difference import overrides_of
from verl_dots.launch.compose import compose

RECIPES = Path(__file__).parents[2] / "recipes"
ALGORITHMS = ("", "_grpo", "_reinforce_plus_plus")
ADARFT = tuple(
    f"{curriculum}{algorithm}" for curriculum in ("adarft", "filter", "schedule") for algorithm in ALGORITHMS
)
# Methods of each folder, the paper's own first.
METHODS = {
    "dots": ("dots_rr", "grpo", "dots", "dots_rr_code"),
    "adarft": (*ADARFT, "ppo", "grpo", "reinforce_plus_plus"),
    "e3": ("e3", "grpo", "dapo", "entropy", "temperature", "annealing", "budget", "short"),
    "dash": ("dash", "grpo", "no_filter", "dash_kl", "multi", "mini"),
}
NO_SETTING = ("common", "predictor")
# Where the testbed has a method under another name. AdaRFT's own is also there with GRPO alone: adarft*.sh.
ON_TESTBED = {
    ("dots", "dots_rr_code"): "dots_rr_decoupled",
    ("adarft", "adarft"): "adarft_ppo", ("adarft", "adarft_grpo"): "adarft",
    ("adarft", "filter_grpo"): "adarft_filter", ("adarft", "schedule_grpo"): "adarft_schedule",
    ("e3", "temperature"): "e3_temperature", ("e3", "annealing"): "e3_annealing", ("e3", "entropy"): "e3_entropy",
    ("e3", "budget"): "e3_budget", ("e3", "short"): "e3_short",
    ("dash", "grpo"): "dash_grpo", ("dash", "no_filter"): "dash_no_filter", ("dash", "multi"): "dash_multi",
    ("dash", "mini"): "dash_mini",
}  # fmt: skip
# A baseline's selection with another algorithm than GRPO: overrides of ppo.sh or reinforce_plus_plus.sh.
NOT_ON_TESTBED = ("filter", "schedule", "filter_reinforce_plus_plus", "schedule_reinforce_plus_plus")


@dataclass(frozen=True)
class Recipe:
    """A script and its arguments.

    Attributes:
        script: below recipes/.
        arguments: the method, the value of an ablation, or nothing.
    """

    script: str
    arguments: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return " ".join((self.script, *self.arguments))

    def overrides(self, *more: str, **environment: str) -> list[str]:
        return overrides_of(RECIPES / self.script, *self.arguments, *more, **environment)

    def config(self, *more: str, **environment: str) -> DictConfig:
        return compose(self.overrides(*more, **environment))


def scripts(folder: str) -> list[str]:
    """Scripts of a folder that train, ablations last."""
    names = [path.stem for path in (RECIPES / folder).glob("*.sh") if path.stem not in NO_SETTING]
    return [f"{folder}/{name}.sh" for name in sorted(names, key=lambda name: (name.startswith("ablation"), name))]


def settings(folder: str) -> list[str]:
    """Scripts that take a method."""
    return [script for script in scripts(folder) if "ablation" not in script]


def every_recipe() -> list[Recipe]:
    """All methods of all settings, all ablations, and the testbed's."""
    methods = [Recipe(s, (m,)) for folder in METHODS for s in settings(folder) for m in METHODS[folder]]
    return methods + [Recipe(script) for script in scripts("dots") if "ablation" in script] + testbed()


def testbed() -> list[Recipe]:
    return [Recipe(script) for script in scripts("cpu")]


def one_of_each() -> list[Recipe]:
    """Every script and every method at least once: each line of the recipes is run."""
    pairs = []
    for folder, methods in METHODS.items():
        names = settings(folder)
        for place in range(max(len(names), len(methods))):
            pairs.append(Recipe(names[place % len(names)], (methods[place % len(methods)],)))
    return pairs + [Recipe(script) for script in scripts("dots") if "ablation" in script] + testbed()
