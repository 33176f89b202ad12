"""What the settings of a run ask of single cells of its training data: the reward, the agent loop and the model."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.data.rows import has_field, read_rows, schema_of
from verl_dots.launch.loaded import DEFAULT_LOOP, SINGLE, TURNS, agent_loops
from verl_dots.methods.refusals import NOTHING
from verl_dots.rewards import by_verl
from verl_dots.settings import ConfigError

Cell = Callable[[Any], str | None]
TOOLS, KWARGS = f"{TURNS}.tool_config_path", "tools_kwargs"


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


def offers_tools(config: DictConfig, files: Sequence[str | Path]) -> bool:
    """Whether a row of these files is rolled out by another loop than verl's of a single turn, which reads no tools.

    Raises:
        QuestionError: a file cannot be read.
    """
    default = OmegaConf.select(config, DEFAULT_LOOP)
    for file in files:
        named = ["agent_name"] if "agent_name" in schema_of(file).names else []
        if any(row.get("agent_name", default) != SINGLE for row in (read_rows(file, named) if named else [{}])):
            return True
    return False


def require_tools_kwargs(config: DictConfig, key: str, files: Sequence[str | Path]) -> None:
    """Refuse rows that have no arguments for tools where others have them: verl makes null of them, and no {}.

    Its agent loop of tools would answer each call of a tool with an error, which the model reads, and go on.

    Raises:
        ConfigError: the first such row.
    """
    having = [file for file in files if has_field(schema_of(file), "extra_info", KWARGS)]
    default = OmegaConf.select(config, DEFAULT_LOOP)
    for file in files if having and OmegaConf.select(config, TOOLS) else ():
        if (row := _first_without_kwargs(file, file in having, default)) is not None:
            raise ConfigError(
                f"{key}: row {row} of {file} (counted from 0) has no extra_info.{KWARGS}, rows of {having[0]} have; "
                f"verl reads null there, with which no call of a tool of {TOOLS} works; "
                "give it {TOOL: {create_kwargs: ...}} in each row",
                key=key,
                reason="data",
            )


def _first_without_kwargs(file: str | Path, there: bool, default: str) -> int | None:
    """The first row with tools and without arguments for them, which are a field of the file if `there`."""
    named = [name for name in ("agent_name",) if name in schema_of(file).names]
    read = [*named, *([f"extra_info.{KWARGS}"] if there else [])]
    for place, row in enumerate(read_rows(file, read) if read else [{}]):
        given = (row["extra_info"] or {}).get(KWARGS, {}) if there else None
        if given is None and row.get("agent_name", default) == "tool_agent":
            return place
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
