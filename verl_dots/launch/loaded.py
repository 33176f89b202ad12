"""What verl loads by a name or a path of its config in a worker: classes, tools and agent loops, loaded here first."""

import logging
from collections.abc import Callable, Collection
from typing import Any

from hydra.errors import HydraException
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.data.file_lists import file_list
from verl_dots.data.rows import schema_of
from verl_dots.launch.verl_names import require_name
from verl_dots.methods.refusals import OWN_AGENT_LOOP, excluded, refused_as
from verl_dots.settings import ConfigError, require

logger = logging.getLogger(__name__)

ROLLOUT = "actor_rollout_ref.rollout"
LOOPS = f"{ROLLOUT}.agent.agent_loop_config_path"
DEFAULT_LOOP = f"{ROLLOUT}.agent.default_agent_loop"
TURNS, SINGLE = f"{ROLLOUT}.multi_turn", "single_turn_agent"
NATIVE = f"{TURNS}.tool_config_path"
SAMPLER = "trainer.v1.sampler.custom_sampler"
# Classes by their full names.
CLASSES = (
    f"{ROLLOUT}.agent.agent_loop_manager_class",
    f"{ROLLOUT}.checkpoint_manager_class",
    "trainer.checkpoint_callback_class",
)

NEEDED = "and the lengths of prompts need it: write its tool_schema into the file"


def check_loaded(config: DictConfig) -> None:
    """Load what verl's workers will load.

    Raises:
        ConfigError: the key, and what is not there or cannot be loaded.
    """
    from verl.utils.import_utils import load_class_from_fqn, load_extern_object

    for key in CLASSES:
        if name := OmegaConf.select(config, key):
            loaded(key, name, lambda name=name: load_class_from_fqn(str(name)))
    sampler = OmegaConf.select(config, SAMPLER) or {}
    if (path := sampler.get("path")) and (name := sampler.get("name")):
        loaded(f"{SAMPLER}.path", path, lambda: load_extern_object(module_path=path, object_name=name))
    for group in (TURNS, "data"):
        for name, load in TOOLS.items():
            if path := OmegaConf.select(config, f"{group}.{name}"):
                loaded(f"{group}.{name}", path, lambda path=path, load=load: load(path))
    names = agent_loops(config)
    if names is not None:
        require_name(DEFAULT_LOOP, OmegaConf.select(config, DEFAULT_LOOP), names)


def check_turns(config: DictConfig) -> None:
    """Refuse turns that no rollout would take: verl does not read multi_turn.enable, each row's agent loop decides.

    Raises:
        ConfigError: no agent loop of several turns, or one of tools without a tool.
    """
    turns, key = config.actor_rollout_ref.rollout.multi_turn, TURNS
    if not turns.enable or OmegaConf.select(config, OWN_AGENT_LOOP.key) not in (None, *OWN_AGENT_LOOP.allowed):
        return
    default = OmegaConf.select(config, DEFAULT_LOOP)
    if default == SINGLE and not _rows_name_loops(config):
        why = "it takes one turn; set it to tool_agent, or name each row's agent loop in a column agent_name"
        raise excluded(f"{key}.enable", True, f"{DEFAULT_LOOP}={default}", why)
    tools = any(turns.get(name) for name in TOOLS)
    rule = f"{DEFAULT_LOOP}=tool_agent needs tools here, or in {key}.function_tool_path; else set {key}.enable=False"
    require(f"{key}.tool_config_path", "null", tools or default != "tool_agent", rule, "missing")


def _rows_name_loops(config: DictConfig) -> bool:
    if (config.data.get("custom_cls") or {}).get("path"):
        return True  # nobody knows before it is loaded
    with refused_as("data.train_files", "data"):
        return any("agent_name" in schema_of(file).names for file in file_list(config.data.train_files))


def agent_loops(config: DictConfig) -> Collection[str] | None:
    """Names of the agent loops of a run: verl's, those of the user's file and of the model's modules.

    None where a class of the user's makes them.

    Raises:
        ConfigError: the file is not there, or names a class that is not.
    """
    if OmegaConf.select(config, OWN_AGENT_LOOP.key) not in (None, *OWN_AGENT_LOOP.allowed):
        return None
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
    from verl.utils.import_utils import import_external_libs, resolve_config_path

    if libraries := OmegaConf.select(config, "actor_rollout_ref.model.external_lib"):
        import_external_libs(libraries.split(","))
    names = {*_agent_loop_registry}
    if path := OmegaConf.select(config, LOOPS):
        for entry in loaded(LOOPS, path, lambda: list(OmegaConf.load(resolve_config_path(path)))):
            name, target = (entry.get(part) if isinstance(entry, DictConfig) else None for part in ("name", "_target_"))
            if not isinstance(name, str) or not isinstance(target, str):
                words = f"{LOOPS}={path!r}: must be a list of entries with name and _target_, got {entry}"
                raise ConfigError(words, key=LOOPS, reason="type")
            loaded(LOOPS, path, lambda target=target: get_class(target))
            names.add(name)
    return names


def _tool_classes(path: str) -> None:
    """Find the classes of a file of tools; a tool is not made here, for it may open connections or start Ray."""
    from verl.utils.import_utils import resolve_config_path

    for tool in OmegaConf.load(resolve_config_path(path)).tools:
        get_class(tool.class_name)


def _class_schemas(path: str) -> list[Any]:
    from verl.utils.import_utils import resolve_config_path

    return [_schema_of(tool) for tool in OmegaConf.load(resolve_config_path(path)).tools]


def _schema_of(tool: DictConfig) -> Any:
    """The schema of a tool that is not made: that of the file, or what its class tells as verl's own __init__ asks it.

    None where the class may tell one by what its own __init__ sets.

    Raises:
        ValueError: neither has one.
    """
    from verl.tools.base_tool import BaseTool
    from verl.tools.schemas import OpenAIFunctionToolSchema

    if tool.get("tool_schema") is not None:
        return OpenAIFunctionToolSchema.model_validate(OmegaConf.to_container(tool.tool_schema, resolve=True))
    kind = get_class(tool.class_name)
    unmade = object.__new__(kind)
    unmade.config = OmegaConf.to_container(tool.config, resolve=True)
    try:
        if isinstance(schema := unmade.get_openai_tool_schema(), OpenAIFunctionToolSchema):
            return schema
    except Exception as error:
        methods = ("__init__", "get_openai_tool_schema")
        if all(getattr(kind, name) is not getattr(BaseTool, name) for name in methods):
            logger.warning("%s tells no schema before it is made (%s): prompts are counted without it", kind, error)
            return None
        raise ValueError(f"{tool.class_name} tells no schema before it is made ({error}), {NEEDED}") from error
    raise ValueError(f"{tool.class_name} tells {schema!r:.80} for its schema, {NEEDED}")


def _tool_functions(path: str) -> list[Any]:
    from verl.tools.function_tool import load_function_tools_from_path
    from verl.utils.import_utils import resolve_config_path

    return [tool.tool_schema for tool in load_function_tools_from_path(resolve_config_path(path))]


TOOLS = {"tool_config_path": _tool_classes, "function_tool_path": _tool_functions}
SCHEMAS = {"tool_config_path": _class_schemas, "function_tool_path": _tool_functions}


def tool_schemas(config: DictConfig, group: str) -> list[dict[str, Any]]:
    """What the chat template gets of the tools that a group names.

    Args:
        group: `data`, which verl's filter of prompts reads, or TURNS, which its loop of tools does.

    Raises:
        ConfigError: a tool that cannot be loaded, or whose schema nobody knows before it is made.
    """
    found = []
    for name, load in SCHEMAS.items():
        if path := OmegaConf.select(config, f"{group}.{name}"):
            found += loaded(f"{group}.{name}", path, lambda path=path, load=load: load(path))
    return [schema.model_dump(exclude_unset=True, exclude_none=True) for schema in found if schema is not None]


def native_tools(config: DictConfig) -> set[str] | None:
    """Names of a run's tools that are classes: they get arguments of each row, functions get none.

    None where nobody knows the name of one before it is made.
    """
    path = OmegaConf.select(config, NATIVE)
    try:
        return {schema.function.name for schema in loaded(NATIVE, path, lambda: _class_schemas(path))}
    except ConfigError:
        return None


def loaded(key: str, value: Any, load: Callable[[], Any]) -> Any:
    """What `load` gives; ConfigError of the key for whatever it raises."""
    try:
        return load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's file does
        cause = error.__cause__ if isinstance(error, HydraException | OmegaConfBaseException) else None
        words = (
            f"{key}={value!r} cannot be loaded: {type(error).__name__}: {cause or error}; mend it, or set it to null"
        )
        raise ConfigError(words, key=key, reason="file") from error
