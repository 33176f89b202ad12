"""What a recipe sets differently from verl.

    python -m scripts.recipe_difference recipes/dots/math-1.5b_math.sh dots_rr [KEY=VALUE ...]

Runs the recipe up to its call of `python -m verl_dots.main`, which is not made, composes the config as that call would,
and prints one line `key: default -> value` for each setting that is not verl's default, in order. Settings of `dots`,
which verl does not know, are compared with plain GRPO's. What only follows from another setting is not listed.
"""

import sys
from collections.abc import Sequence
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from verl_dots.config import DotsConfig
from verl_dots.launch.compose import compose
from verl_dots.launch.recipes import RecipeError, overrides_of
from verl_dots.processes.environment import prepare_environment
from verl_dots.settings import ConfigError, flat, plain_values
from verl_dots.terminal import output

NO_DEFAULT = "-"


def verl_defaults() -> DictConfig:
    """verl's own config, and in `dots` the settings of plain GRPO."""
    with hydra.initialize_config_module("verl.trainer.config", version_base=None):
        config = hydra.compose("ppo_trainer")
    OmegaConf.set_struct(config, False)
    config.dots = plain_values(DotsConfig())
    return config


def leaves(config: DictConfig) -> dict[str, Any]:
    """Every setting under its dotted name, as it is written: interpolations stay. A list is one setting."""
    return flat(OmegaConf.to_container(config))


def difference(config: DictConfig, default: DictConfig) -> list[str]:
    """Sorted lines `key: default -> value`, interpolations resolved."""
    ours, theirs = leaves(config), leaves(default)
    lines = []
    for key in sorted(ours):
        if key not in theirs or ours[key] != theirs[key]:
            before = _shown(default, key) if key in theirs else NO_DEFAULT
            lines.append(f"{key}: {before} -> {_shown(config, key)}")
    return lines


def _shown(config: DictConfig, key: str) -> str:
    """A value as an override would give it."""
    value = OmegaConf.select(config, key, default=NO_DEFAULT)
    if OmegaConf.is_list(value):
        return f"[{','.join(map(str, value))}]"
    return "null" if value is None else str(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the difference."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] in (["-h"], ["--help"]):
        output().print(__doc__)
        sys.exit()
    if not arguments or arguments[0].startswith("-"):
        sys.exit(__doc__)
    prepare_environment(cpu=True)  # before verl is imported; no GPU is needed here
    try:
        output().print("\n".join(difference(compose(overrides_of(*arguments)), verl_defaults())))
    except (ConfigError, RecipeError) as error:
        sys.exit(f"recipe_difference: {error}")


if __name__ == "__main__":
    main()
