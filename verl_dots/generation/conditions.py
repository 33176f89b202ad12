"""Under which conditions responses were generated and scored, as plain values: model, sampling, lengths, reward."""

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.generation.generation import Sampling
from verl_dots.model_files import CONFIG, GENERATION, TOKENIZER, WEIGHTS, ends, matching
from verl_dots.model_files import digest as digest_of_files

PACKAGE = "pkg://"


def conditions_of(config: DictConfig, rollouts: int, sampling: Sampling) -> dict[str, Any]:
    """Everything that decides the responses to a question and their rewards: only equal ones belong together."""
    model, rollout = config.actor_rollout_ref.model, config.actor_rollout_ref.rollout
    reward, hf_config = config.reward.custom_reward_function, model.get("hf_config_path")
    return {
        "model": model_fingerprint(model.path),
        "model_config": hf_config and files_fingerprint(hf_config, (*CONFIG, *GENERATION)),
        "override_config": _plain(model.get("override_config")),
        "generation_config": files_fingerprint(model.path, GENERATION),
        "tokenizer": files_fingerprint(model.get("tokenizer_path") or model.path, TOKENIZER),
        "custom_chat_template": model.get("custom_chat_template"),
        "apply_chat_template_kwargs": _plain(config.data.get("apply_chat_template_kwargs")),
        "rollouts": rollouts,
        "engine": f"{rollout.name} {rollout.dtype}",
        "engine_kwargs": _plain((rollout.get("engine_kwargs") or {}).get(rollout.name)),
        "quantization": rollout.get("quantization"),
        "full_determinism": bool(rollout.full_determinism),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_prompt_length": int(rollout.prompt_length),
        "max_response_length": int(rollout.response_length),
        "seed": int(rollout.seed),
        "reward": f"{reward.path}:{reward.name}",
        "reward_code": code_fingerprint(reward.path),
        "reward_kwargs": _plain(reward.get("reward_kwargs")),
    }


def digest(questions: Sequence[AskedQuestion]) -> str:
    """Number of questions and a hash of their ids: equal for the same questions in the same order."""
    ids = "\n".join(question.id for question in questions)
    return f"{len(questions)} questions, sha256 {hashlib.sha256(ids.encode()).hexdigest()[:16]}"


def scorers(questions: Sequence[AskedQuestion]) -> str:
    """Names of the data sources, and a hash of what else of the rows a reward function is given beside the answers."""
    sources = sorted({str(question.row.get("data_source")) for question in questions})
    hasher = hashlib.sha256()
    for question in questions:
        given = [question.row.get("data_source"), question.row.get("extra_info")]
        hasher.update(json.dumps(given, sort_keys=True, default=repr).encode() + b"\n")
    return f"{', '.join(sources)}, sha256 {hasher.hexdigest()[:16]}"


def model_fingerprint(path: str) -> str:
    """Name of a model folder and a hash over its config, its code and samples of its weights; a hub id is its own.

    Hashed are the sizes and the `ends` of each file.
    """
    return _fingerprint(path, (*CONFIG, *WEIGHTS), ends)


def files_fingerprint(path: str, globs: Sequence[str]) -> str:
    """Name of a model folder and a hash over all of some of its files; a hub id is its own."""
    return _fingerprint(path, globs, Path.read_bytes)


def code_fingerprint(path: str | None) -> str | None:
    """A hash of the module that `reward.custom_reward_function.path` names, and of those beside it in its package."""
    if not path:
        return None
    if not path.startswith(PACKAGE):
        return digest_of_files([Path(path.removeprefix("file://"))])
    spec = find_spec(path.removeprefix(PACKAGE).replace("/", "."))
    file = Path(spec.origin)
    return digest_of_files(matching(file.parent, ["*.py"]) if spec.parent else [file])


def _fingerprint(path: str, globs: Sequence[str], content: Callable[[Path], bytes]) -> str:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return path
    return f"{folder.resolve().name}, {digest_of_files(matching(folder, globs), content)}"


def _plain(node: DictConfig | None) -> dict[str, Any]:
    return {} if node is None else OmegaConf.to_container(node, resolve=True)
