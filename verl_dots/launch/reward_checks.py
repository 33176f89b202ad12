"""The reward function of a run, loaded and called for before anything starts."""

import inspect

from omegaconf import DictConfig, OmegaConf

from verl_dots.generation.scoring import OURS
from verl_dots.launch.verl_names import require_name
from verl_dots.rewards import compute
from verl_dots.settings import ConfigError, unknown_key

KEY = "reward.custom_reward_function"
ENTRIES = ("path", "name", "reward_kwargs")
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
            raise ConfigError(unknown_key(f"{KEY}.{name}", [f"{KEY}.{known}" for known in ENTRIES]))
    path, name, arguments = settings.get("path"), settings.get("name"), settings.get("reward_kwargs")
    if arguments is not None and not isinstance(arguments, DictConfig):
        raise ConfigError(f"{KEY}.reward_kwargs={arguments}: must be a group of arguments, name by name")
    arguments = OmegaConf.to_container(arguments, resolve=True) if arguments is not None else {}
    if not path:
        if arguments:
            raise ConfigError(f"{KEY}.reward_kwargs: there is no function that takes them; set {KEY}.path")
        return
    function = _load(path, name)
    _check_call(function, f"{path}:{name}", arguments)
    if path == OURS and name == "compute_score":
        try:
            compute.options_of(arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{KEY}.reward_kwargs: {error}") from error


def _load(path: str, name: str | None) -> object:
    from verl.utils.import_utils import load_module

    if not isinstance(name, str) or not name:
        raise ConfigError(f"{KEY}.name={name}: must be the name of a function in {path}")
    try:
        module = load_module(str(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{KEY}.path={path!r}: there is no such file") from error
    except (ImportError, RuntimeError, OSError, SyntaxError, ValueError) as error:
        cause = error.__cause__ or error
        raise ConfigError(f"{KEY}.path={path!r} cannot be imported: {type(cause).__name__}: {cause}") from error
    if not hasattr(module, name):
        functions = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        raise ConfigError(
            f"{KEY}.name: {path} has no function {name!r}; it has {', '.join(sorted(functions)) or 'none'}"
        )
    function = getattr(module, name)
    if not callable(function) or isinstance(function, type):
        raise ConfigError(f"{KEY}.name: {name!r} in {path} is no function, but a {type(function).__name__}")
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
            f"{' and reward_kwargs ' + ', '.join(arguments) if arguments else ''}: {error}"
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
    path = (manager.get("module") or {}).get("path")
    if not path:
        raise ConfigError("reward.reward_manager.module.path=null: reward.reward_manager.source=importlib needs it")
    try:
        load_extern_object(module_path=path, object_name=manager.name)
    except (OSError, RuntimeError, AttributeError, ImportError, ValueError) as error:
        raise ConfigError(f"reward.reward_manager.module.path={path!r} cannot be loaded: {error}") from error
