"""What the settings of a run ask of single cells of its training data: the reward, the agent loop and the model."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf

from verl_dots.data.rows import has_field, read_rows, schema_of
from verl_dots.launch.loaded import DEFAULT_LOOP, NATIVE, SINGLE, agent_loops, native_tools
from verl_dots.methods.refusals import NOTHING
from verl_dots.rewards import by_verl
from verl_dots.settings import ConfigError

Cell = Callable[[Any], str | None]
# Of extra_info, and of each tool in the first.
KWARGS, SELECTION, CREATE = "tools_kwargs", "tool_selection", "create_kwargs"


def cells_of(config: DictConfig) -> dict[str, Cell]:
    """Column -> what is wrong with a value of it, or None; columns that need not be there."""
    cells: dict[str, Cell] = {}
    if (names := agent_loops(config)) is not None:
        cells["agent_name"] = lambda value: _no_loop(value, names)
    if _scored_by_verl(config):
        cells["data_source"] = _no_reward_of_verl
    if why := _text_only(config):
        kinds = ("image", "video", "audio")
        cells |= {
            config.data.get(f"{kind}_key", f"{kind}s"): lambda value, kind=kind: (
                None if value in NOTHING else f"it has {kind}s, and {why}"
            )
            for kind in kinds
        }
    return cells


class Offer(Enum):
    """Which of a run's tools a row offers the model."""

    NONE = "none"  # verl's loop of a single turn reads no tools
    SOME = "some"
    ALL = "all"


def offers_of(config: DictConfig, files: Sequence[str | Path]) -> set[Offer]:
    """What the rows of these files offer.

    Raises:
        QuestionError: a file cannot be read.
    """
    default, selection, found = OmegaConf.select(config, DEFAULT_LOOP), f"extra_info.{SELECTION}", set()
    for file in files:
        schema = schema_of(file)
        read = ["agent_name"] if "agent_name" in schema.names else []
        read += [selection] if has_field(schema, "extra_info", SELECTION) else []
        for row in read_rows(file, read) if read else [{}]:
            part = Offer.SOME if (row.get("extra_info") or {}).get(SELECTION) else Offer.ALL
            found.add(Offer.NONE if row.get("agent_name", default) == SINGLE else part)
    return found


def require_tools_kwargs(config: DictConfig, key: str, files: Sequence[str | Path]) -> None:
    """Refuse rows in which verl reads null for the arguments of tools, or of one that the row offers, and no {}.

    A parquet file, and files that are read as one, have a field in each row if one row has it. verl's agent loop of
    tools would answer each call of the tool with an error, which the model reads, and go on.

    Raises:
        ConfigError: the first such row.
    """
    having = [file for file in files if has_field(schema_of(file), "extra_info", KWARGS)]
    if not having or not OmegaConf.select(config, NATIVE):
        return
    fields, tools, default = _fields_of(having), native_tools(config), OmegaConf.select(config, DEFAULT_LOOP)
    for file in files:
        for place, row in enumerate(_rows_of_tools(file, default)):
            if row is not None and (null := _null_within(row, fields, tools)):
                raise ConfigError(
                    f"{key}: row {place} of {file} (counted from 0) has no extra_info.{null}, a field that rows of "
                    f"{having[0]} have; verl reads null there, with which no call of a tool of {NATIVE} works; "
                    "give each tool {create_kwargs: {}}, or its own, in each row",
                    key=key,
                    reason="data",
                )


def _fields_of(files: Sequence[str | Path]) -> dict[str, set[str]]:
    """Tool -> what its arguments hold in a row of one of these files, and thereby in each, or null."""
    found: dict[str, set[str]] = {}
    for file in files:
        kind = schema_of(file).field("extra_info").type
        tools = kind.field(KWARGS).type if pa.types.is_struct(kind) else pa.null()
        for tool in tools if pa.types.is_struct(tools) else ():
            inner = tool.type if pa.types.is_struct(tool.type) else ()
            inner = [field.name for field in inner if not pa.types.is_null(field.type)]  # null in each row is meant
            found.setdefault(tool.name, set()).update(inner)
    return found


def _rows_of_tools(file: str | Path, default: str) -> Iterator[dict[str, Any] | None]:
    """What the extra_info of each row has for tools; None for a row of another loop, or of which verl makes {}."""
    schema = schema_of(file)
    there = [f"extra_info.{name}" for name in (KWARGS, SELECTION) if has_field(schema, "extra_info", name)]
    read = [*(["agent_name"] if "agent_name" in schema.names else []), *there]
    for row in read_rows(file, read) if read else [{}]:
        extra = row.get("extra_info") if f"extra_info.{KWARGS}" in there else {KWARGS: None}
        yield extra if isinstance(extra, Mapping) and row.get("agent_name", default) == "tool_agent" else None


def _null_within(extra: Mapping[str, Any], fields: Mapping[str, set[str]], tools: Collection[str] | None) -> str | None:
    """What is null of a row's arguments for tools, or of those of a tool that it offers; None where nothing is.

    Args:
        fields: see `_fields_of`.
        tools: of the run; None where they are not known, and each may be one.
    """
    given, selected = extra.get(KWARGS, {}), extra.get(SELECTION)
    if not isinstance(given, Mapping):
        return KWARGS
    for tool in dict.fromkeys((*fields, *given)):
        if (selected and tool not in selected) or (tools is not None and tool not in tools):
            continue
        arguments = given.get(tool, None if tool in fields else {})
        if not isinstance(arguments, Mapping):
            return f"{KWARGS}.{tool}"
        if CREATE in fields.get(tool, ()) and arguments.get(CREATE) is None:
            return f"{KWARGS}.{tool}.{CREATE}"
    return None


def _no_loop(value: Any, names: Collection[str]) -> str | None:
    if isinstance(value, str) and value in names:
        return None
    return f"agent_name={value!r} is no agent loop of the run; it must be one of {', '.join(sorted(names))}"


def _scored_by_verl(config: DictConfig) -> bool:
    """Whether verl's own function gives the rewards: none is named, and neither a model nor a class gives them."""
    reward = config.reward
    own = reward.custom_reward_function.get("path") or reward.reward_model.enable
    return not own and reward.reward_manager.source == "register"


def _no_reward_of_verl(source: Any) -> str | None:
    problem = by_verl.problem(source) if isinstance(source, str) and source else None
    return problem and f"{problem} among verl's own; set reward.custom_reward_function.path, or rename the source"


def _text_only(config: DictConfig) -> str:
    """Why a run reads text alone, or "": of a model that is no folder here it is not known."""
    if config.actor_rollout_ref.rollout.name == "hf":
        return "rollout.name=hf serves text alone; use vllm or sglang, or leave the column out"
    path = Path(config.actor_rollout_ref.model.path).expanduser()
    names = ("processor_config.json", "preprocessor_config.json")
    if not (path / "config.json").is_file() or any((path / name).is_file() for name in names):
        return ""
    return f"the model in {path} has no processor for them; use one that has, or leave the column out"
