"""Rollout clients around verl's."""

from typing import Any, Self


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
