"""What the settings of a run ask of single cells of its training data: the reward, the agent loop and the model."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from verl_dots.launch.loaded import agent_loops
from verl_dots.methods.refusals import NOTHING
from verl_dots.rewards import by_verl

Cell = Callable[[Any], str | None]


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
