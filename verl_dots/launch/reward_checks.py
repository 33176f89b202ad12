"""The reward function of a run, loaded and called for before anything starts."""

import inspect

from omegaconf import DictConfig, OmegaConf

from verl_dots.launch.verl_names import require_name
from verl_dots.rewards import compute
from verl_dots.settings import ConfigError, require, unknown_key

KEY = "reward.custom_reward_function"
ARGUMENTS = f"{KEY}.reward_kwargs"
ENTRIES = ("path", "name", "reward_kwargs")
FILTERED_BY = ("reward", *compute.REPORTED)  # by verl's dynamic sampling, with the package's own reward
# What verl's reward managers pass.
PASSED = ("data_source", "solution_str", "ground_truth", "extra_info")


def check_reward(config: DictConfig) -> None:
    """Load the reward manager and the reward function, and see whether it takes what it will be given.

    Raises:
        ConfigError: which setting, and what is wrong with it.
    """
    _check_manager(config)
    settings = config.reward.get("custom_reward_function") or OmegaConf.create({})
    for name in settings:
        if name not in ENTRIES:
            raise unknown_key(f"{KEY}.{name}", [f"{KEY}.{known}" for known in ENTRIES])
    path, name, arguments = settings.get("path"), settings.get("name"), settings.get("reward_kwargs")
    grouped = arguments is None or isinstance(arguments, DictConfig)
    require(ARGUMENTS, arguments, grouped, "must be a group of arguments, name by name", "type")
    arguments = OmegaConf.to_container(arguments, resolve=True) if arguments is not None else {}
    if not path:
        require(
            ARGUMENTS, arguments, not arguments, f"there is no function that takes them; set {KEY}.path", "excluded"
        )
        return
    function = _load(path, name)
    _check_call(function, f"{path}:{name}", arguments)
    if path == compute.PATH and name == "compute_score":
        try:
            compute.options_of(arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{ARGUMENTS}: {error}", key=ARGUMENTS, reason="range") from error
        if config.algorithm.filter_groups.enable and config.reward.reward_manager.name == "naive":
            require_name("algorithm.filter_groups.metric", config.algorithm.filter_groups.metric, FILTERED_BY)


def _load(path: str, name: str | None) -> object:
    from verl.utils.import_utils import load_module

    named = isinstance(name, str) and bool(name)
    require(f"{KEY}.name", name, named, f"must be the name of a function in {path}", "type")
    try:
        module = load_module(str(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{KEY}.path={path!r}: there is no such file", key=f"{KEY}.path", reason="file") from error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's file does
        cause = error.__cause__ or error
        words = f"{KEY}.path={path!r} cannot be imported: {type(cause).__name__}: {cause}"
        raise ConfigError(words, key=f"{KEY}.path", reason="file") from error
    if not hasattr(module, name):
        functions = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        words = f"{KEY}.name: {path} has no function {name!r}; it has {', '.join(sorted(functions)) or 'none'}"
        raise ConfigError(words, key=f"{KEY}.name", reason="unknown")
    function = getattr(module, name)
    if not callable(function) or isinstance(function, type):
        words = f"{KEY}.name: {name!r} in {path} is no function, but a {type(function).__name__}"
        raise ConfigError(words, key=f"{KEY}.name", reason="type")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        words = f"{KEY}.name: {name!r} in {path} yields, so it returns a generator; return the score, once"
        raise ConfigError(words, key=f"{KEY}.name", reason="type")
    return function


def _check_call(function: object, what: str, arguments: dict) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # one that is not written in Python
    # As verl merges them: an entry of reward_kwargs stands above what the manager passes.
    try:
        signature.bind(**{**dict.fromkeys(PASSED), **arguments})
    except TypeError as error:
        raise ConfigError(
            f"{KEY}: {what}{signature} cannot be called with {', '.join(PASSED)}"
            f"{' and reward_kwargs ' + ', '.join(arguments) if arguments else ''}: {error}",
            key=KEY,
            reason="type",
        ) from error


def _check_manager(config: DictConfig) -> None:
    from verl.experimental.reward_loop.reward_manager.registry import REWARD_MANAGER
    from verl.utils.import_utils import load_extern_object

    manager = config.reward.reward_manager
    require_name("reward.reward_manager.source", manager.source, ("register", "importlib"))
    if manager.source == "register":
        import verl.experimental.reward_loop  # noqa: F401  registers verl's managers

        require_name("reward.reward_manager.name", manager.name, REWARD_MANAGER)
        return
    key, path = "reward.reward_manager.module.path", (manager.get("module") or {}).get("path")
    require(key, "null", bool(path), "reward.reward_manager.source=importlib needs it", "missing")
    try:
        load_extern_object(module_path=path, object_name=manager.name)
    except (OSError, RuntimeError, AttributeError, ImportError, ValueError) as error:
        raise ConfigError(f"{key}={path!r} cannot be loaded: {error}", key=key, reason="file") from error
