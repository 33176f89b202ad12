"""Under which conditions responses were generated and scored, as plain values: model, sampling, lengths, reward."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.data.asked_questions import AskedQuestion
from verl_dots.generation.generation import Sampling

SAMPLE_BYTES = 2**20
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")


def conditions_of(config: DictConfig, rollouts: int, sampling: Sampling) -> dict[str, Any]:
    """Everything that decides the responses to a question and their rewards: only equal ones belong together."""
    model, rollout = config.actor_rollout_ref.model, config.actor_rollout_ref.rollout
    reward = config.reward.custom_reward_function
    return {
        "model": model_fingerprint(model.path),
        "custom_chat_template": model.get("custom_chat_template"),
        "apply_chat_template_kwargs": _plain(config.data.get("apply_chat_template_kwargs")),
        "rollouts": rollouts,
        "engine": f"{rollout.name} {rollout.dtype}",
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "max_prompt_length": int(rollout.prompt_length),
        "max_response_length": int(rollout.response_length),
        "seed": int(rollout.seed),
        "reward": f"{reward.path}:{reward.name}",
        "reward_kwargs": _plain(reward.get("reward_kwargs")),
    }


def digest(questions: Sequence[AskedQuestion]) -> str:
    """Number of questions and a hash of their ids: equal for the same questions in the same order."""
    ids = "\n".join(question.id for question in questions)
    return f"{len(questions)} questions, sha256 {hashlib.sha256(ids.encode()).hexdigest()[:16]}"


def model_fingerprint(path: str) -> str:
    """Name of a model folder and a hash over its config and samples of its weights; a hub id is its own.

    Hashed are the sizes, and the first and last MiB of each weight file: reading all of a large model would take
    minutes.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return path
    hasher = hashlib.sha256()
    for file in sorted({folder / "config.json", *(found for glob in WEIGHTS for found in folder.glob(glob))}):
        if not file.is_file():
            continue
        size = file.stat().st_size
        hasher.update(f"{file.name}|{size}|".encode())
        with file.open("rb") as stream:
            hasher.update(stream.read(SAMPLE_BYTES))
            stream.seek(max(0, size - SAMPLE_BYTES))
            hasher.update(stream.read(SAMPLE_BYTES))
    return f"{folder.resolve().name}, sha256 {hasher.hexdigest()[:16]}"


def _plain(node: DictConfig | None) -> dict[str, Any]:
    return {} if node is None else OmegaConf.to_container(node, resolve=True)
