"""Train: `python -m verl_dots.main [device=cpu] [dots.KEY=VALUE ...] [any of verl's overrides ...]`.

verl's command line (hydra), plus the config group `dots`; `--help` describes it. See conf/dots_trainer.yaml for what
else differs from verl's defaults.
"""

import sys

from verl_dots.guard import guarded
from verl_dots.launch.help import asks_for_help, help_text

if __name__ == "__main__":
    if asks_for_help(sys.argv[1:]):  # before the imports that take seconds
        sys.exit(print(help_text(), end=""))
    guarded("verl_dots", "training had not begun: nothing is lost")

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from verl_dots.config import PRESETS, DotsConfig
from verl_dots.launch.claim import claim_run
from verl_dots.launch.machine_checks import check_machine
from verl_dots.launch.start import launch, prepare_environment, refused_override, validate
from verl_dots.settings import ConfigError, plain_values, require_choice

CONFIG_MODULE = "verl_dots.conf"
CONFIG_NAME = "dots_trainer"
PRESET = "dots.preset"
# The group `dots` is the typed config's; hydra gets plain values, so that what is wrong is refused in our words.
ConfigStore.instance().store(group="dots", name="default", node=plain_values(DotsConfig()))
# Whether `main` has validated the config already: hydra's own command line hides what a check would say.
_checked: list[bool] = []


def with_preset(overrides: list[str]) -> list[str]:
    """Overrides in which `dots.preset=NAME` is hydra's choice of a config group, under every other override.

    Raises:
        ConfigError: there is no such preset.
    """
    changed = []
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        if key == PRESET:
            require_choice(PRESET, value, PRESETS)
        changed.append(f"preset={value}" if key == PRESET else override)
    return changed


def compose(overrides: list[str]) -> DictConfig:
    """The config for some overrides.

    Raises:
        ConfigError: hydra refuses one; the message names the nearest key that exists.
    """
    overrides = with_preset(overrides)
    with hydra.initialize_config_module(CONFIG_MODULE, version_base=None):
        try:
            return hydra.compose(CONFIG_NAME, overrides=overrides)
        except HydraException as error:
            plain = hydra.compose(CONFIG_NAME, overrides=[o for o in overrides if o.startswith(("device=", "preset="))])
            raise refused_override(error, plain) from error


def main() -> None:
    """Check the overrides, then hand over to hydra's own command line (--cfg, --multirun, --hydra-help ...)."""
    overrides = [argument for argument in sys.argv[1:] if "=" in argument and not argument.startswith("-")]
    plain = not any(argument.startswith("-") for argument in sys.argv[1:])
    # Importing verl (hydra does, to find verl's config) must already find the platform chosen.
    cpu = any(override.lstrip("+") in ("device=cpu", "trainer.device=cpu") for override in overrides)
    prepare_environment(cpu)
    try:
        OverridesParser.create().parse_overrides(overrides)
        sys.argv[1:] = with_preset(sys.argv[1:])
        if plain:
            config = compose(overrides)
            validate(config)
            check_machine(config)
            claim_run(config)
            _checked.append(True)
        _run()
    except (ConfigError, HydraException) as error:
        sys.exit(f"verl_dots: {error}")


@hydra.main(config_path="pkg://" + CONFIG_MODULE, config_name=CONFIG_NAME, version_base=None)
def _run(config: DictConfig) -> None:
    launch(config, checked=bool(_checked))


if __name__ == "__main__":
    main()
