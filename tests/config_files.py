"""Files of a config that a process reads once.

Forty make up the config of a run. To read and type them is a third of what it costs to compose one, and tests compose
hundreds.
"""

import pickle
from collections.abc import Callable
from functools import wraps

from hydra._internal.config_repository import ConfigRepository


def read_once(load: Callable) -> Callable:
    """hydra's reading of a file, which gives a new copy of what it has read before at the same places."""
    kept: dict[tuple[str, ...], bytes] = {}

    @wraps(load)
    def load_config(repository: ConfigRepository, config_path: str):
        key = (config_path, *map(str, repository.get_sources()))
        if key not in kept:
            kept[key] = pickle.dumps(load(repository, config_path))
        return pickle.loads(kept[key])  # hydra changes what it is given

    return load_config
