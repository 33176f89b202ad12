"""Rollout clients around verl's, and the settings that they read."""

from collections.abc import Iterator
from typing import Any, Self

from omegaconf import DictConfig


class AroundClient:
    """A rollout client that is another one, but for what a subclass changes in `generate`.

    Args:
        client: verl's, or one around it.
    """

    def __init__(self, client: Any):
        self._client = client

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(self._client, attribute)

    def __deepcopy__(self, memo: dict) -> Self:
        return self  # hydra copies what it hands to an agent loop


class RememberedConfig:
    """A config whose values are looked up once: OmegaConf takes 10 to 20 us for each, and verl asks for each rollout.

    Args:
        config: that nobody changes in this process.
    """

    def __init__(self, config: DictConfig):
        self._config = config

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._config, name)
        self.__dict__[name] = RememberedConfig(value) if isinstance(value, DictConfig) else value
        return self.__dict__[name]

    def __getitem__(self, name: str) -> Any:
        value = self._config[name]
        return RememberedConfig(value) if isinstance(value, DictConfig) else value

    def __contains__(self, name: object) -> bool:
        return name in self._config

    def __iter__(self) -> Iterator[Any]:
        return iter(self._config)
