"""Every recipe, and what a run of it would be composed of."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omegaconf import DictConfig

from verl_dots.launch.compose import compose
from verl_dots.launch.recipes import overrides_of

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
NO_SETTING = ("common", "scaling", "predictor", "ablation")
# Where the testbed has a method under another name. AdaRFT's own is also there with GRPO alone: adarft*.sh.
ON_TESTBED: dict[tuple[str, str], str | None] = {
    ("dots", "dots_rr_code"): "dots_rr_decoupled",
    ("adarft", "adarft"): "adarft_ppo", ("adarft", "adarft_grpo"): "adarft",
    ("adarft", "filter_grpo"): "adarft_filter", ("adarft", "schedule_grpo"): "adarft_schedule",
    # A baseline's selection with another algorithm than GRPO is not: overrides of ppo.sh or reinforce_plus_plus.sh.
    ("adarft", "filter"): None, ("adarft", "filter_reinforce_plus_plus"): None,
    ("adarft", "schedule"): None, ("adarft", "schedule_reinforce_plus_plus"): None,
    **{("e3", name): f"e3_{name}" for name in ("temperature", "annealing", "entropy", "budget", "short")},
    **{("dash", name): f"dash_{name}" for name in ("grpo", "no_filter", "multi", "mini")},
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A script below recipes/, and its arguments: the method, an ablation and its value, or nothing."""

    script: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.script, *self.arguments))

    @property
    def folder(self) -> str:
        return self.script.split("/")[0]

    @property
    def name(self) -> str:
        """The script's, without .sh."""
        return Path(self.script).stem

    @property
    def method(self) -> str:
        """The argument, or where a script is a method the script; of an ablation none."""
        return "" if self.name == "ablation" else (*self.arguments, self.name)[0]

    def overrides(self, *more: str, **environment: str) -> list[str]:
        return overrides_of(RECIPES / self.script, *self.arguments, *more, **environment)

    def given(self, *more: str, **environment: str) -> dict[str, str]:
        """Overrides by key; the last one counts."""
        return dict(override.split("=", 1) for override in self.overrides(*more, **environment))


@cache
def of_preset(*groups: str) -> DictConfig:
    """The config of a preset, and of a device where one is named: overrides that choose files of verl_dots/conf."""
    return compose([*groups])


@cache
def settings(folder: str) -> list[str]:
    """Scripts of a folder that train as they stand, or with a method."""
    return sorted(f"{folder}/{path.name}" for path in (RECIPES / folder).glob("*.sh") if path.stem not in NO_SETTING)


@cache
def ablations(folder: str) -> dict[str, tuple[str, str, str]]:
    """(method, key, default value) of each ablation, by its name."""
    text = (RECIPES / folder / "ablation.sh").read_text()
    rows = re.search(r"^ABLATIONS='(.*?)'$", text, re.DOTALL | re.MULTILINE)[1].splitlines()
    return {name: (method, key, value) for name, method, key, value in map(str.split, rows)}


def on_testbed() -> list[Recipe]:
    return [Recipe(script) for script in settings("cpu")] + _ablations("cpu")


def every_recipe() -> list[Recipe]:
    """All methods of all settings, all ablations, and the testbed's."""
    pairs = [(script, method) for folder in METHODS for script in settings(folder) for method in METHODS[folder]]
    return [Recipe(script, (method,)) for script, method in pairs] + _ablations("dots") + on_testbed()


def one_of_each() -> list[Recipe]:
    """Every script and every method at least once: each line of the recipes is run."""
    pairs = []
    for folder, methods in METHODS.items():
        names = settings(folder)
        for place in range(max(len(names), len(methods))):
            pairs.append(Recipe(names[place % len(names)], (methods[place % len(methods)],)))
    return pairs + _ablations("dots") + on_testbed()


def _ablations(folder: str) -> list[Recipe]:
    return [Recipe(f"{folder}/ablation.sh", (name,)) for name in ablations(folder)]
