"""Train: `python -m verl_dots.main [device=cpu] [dots.KEY=VALUE ...] [any of verl's overrides ...]`.

verl's command line (hydra), plus the config group `dots`; `--help` describes it. See conf/dots_trainer.yaml for what
else differs from verl's defaults.
"""

import sys

from verl_dots.guard import guarded
from verl_dots.launch.help import asks_for_help, help_text

if __name__ == "__main__":
    if asks_for_help(sys.argv[1:]):  # before the imports that take seconds
        sys.stdout.write(help_text())
        sys.exit()
    guarded("verl_dots", "training had not begun: nothing is lost")

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from verl_dots.launch.compose import CONFIG_MODULE, CONFIG_NAME, compose, require_overrides, with_home, with_preset
from verl_dots.launch.verl_values import resolving
from verl_dots.processes.environment import prepare_environment
from verl_dots.processes.warm_workers import WarmWorkers, uncollected, warm_workers
from verl_dots.settings import ConfigError

# Whether `main` has validated the config already: hydra's own command line hides what a check would say.
_checked: list[bool] = []
# What Ray's workers are forked from, where they are.
_warm: list[WarmWorkers] = []


def main() -> None:
    """Check the overrides, then hand over to hydra's own command line (--cfg, --multirun, --hydra-help ...)."""
    sys.argv[1:] = with_home(sys.argv[1:])
    plain = not any(argument.startswith("-") for argument in sys.argv[1:])
    # Behind an option of hydra's stand words that are no overrides.
    overrides = [word for word in sys.argv[1:] if plain or ("=" in word and not word.startswith("-"))]
    # Importing verl (hydra does, to find verl's config) must already find the platform chosen.
    cpu = any(override.lstrip("+") in ("device=cpu", "trainer.device=cpu") for override in overrides)
    prepare_environment(cpu)
    try:
        OverridesParser.create().parse_overrides(overrides)
        sys.argv[1:] = with_preset(sys.argv[1:])
        if plain:
            require_overrides(overrides)
            with uncollected(), resolving():
                config = compose(overrides)
                _warm.extend(warm_workers(config))
                _check(config)
        _run()
    except (ConfigError, HydraException) as error:
        sys.exit(f"verl_dots: {error}")
    finally:
        for warm in _warm:
            warm.close()


def _check(config: DictConfig) -> None:
    # A misspelt key is refused without these imports, which take a third of a second and more.
    from verl_dots.launch.claim import claim_run
    from verl_dots.launch.machine_checks import check_machine
    from verl_dots.launch.start import validate

    validate(config)
    check_machine(config)
    claim_run(config)
    _checked.append(True)


@hydra.main(config_path="pkg://" + CONFIG_MODULE, config_name=CONFIG_NAME, version_base=None)
def _run(config: DictConfig) -> None:
    from verl_dots.launch.start import launch

    launch(config, checked=bool(_checked), warm=_warm[0] if _warm else None)


if __name__ == "__main__":
    main()
