"""Settings that are named like secrets: a run shows, keeps and sends its settings, so it would not get these."""

from omegaconf import DictConfig, OmegaConf

from verl_dots.secrets import HIDDEN, secret_names
from verl_dots.settings import ConfigError

OF_RAY = "ray_kwargs"  # Ray starts with these as they are


def refuse_secrets(config: DictConfig) -> None:
    """Refuse a value under such a name, outside of Ray's own settings.

    Raises:
        ConfigError: its name; the message does not tell the value.
    """
    given = {name: value for name, value in OmegaConf.to_container(config).items() if name != OF_RAY}
    for name in secret_names(given):
        raise ConfigError(
            f"{name} is named like a secret, and settings are written down: a run would get {HIDDEN} in place of its "
            "value. Leave it out, and give it as a variable of the environment, which your function or "
            "the engine reads",
            key=name,
            reason="excluded",
        )
