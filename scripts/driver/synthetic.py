"""Rollouts that no model has sampled, in the fields of verl's agent loop: real shapes, types and tags."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

LEAST_SHARE = 8  # the shortest responses have an eighth of the longest's tokens: half and a little in the mean
PROMPT_TOKENS = (100, 400)
VOCABULARY = 128


def response_lengths(count: int, longest: int, rng: np.random.Generator) -> np.ndarray:
    """[count] tokens of responses, uniform from an eighth of `longest` to `longest`, both of which occur."""
    lengths_N = rng.integers(max(1, longest // LEAST_SHARE), longest + 1, count)
    lengths_N[0] = longest
    return lengths_N


def group_rows(
    question: Mapping[str, Any], uid: str, size: int, step: int, longest: int, seed: int, first_session: int = 0
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Keys, fields and tags of the rollouts of a question, as `verl.trainer.ppo.v1.agent_loop_tq` writes them.

    Args:
        question: the fields of the data set.
        uid: of the group.
        size: rollouts.
        step: that samples them.
        longest: most tokens of a response.
        seed: of all that is random here, with the uid.
        first_session: number of the first rollout.
    """
    rng = np.random.default_rng([seed, step, *uid.encode()])
    prompt = torch.from_numpy(rng.integers(3, VOCABULARY, rng.integers(*PROMPT_TOKENS)))
    keys, fields, tags = [], [], []
    for session, length in enumerate(response_lengths(size, longest, rng).tolist(), start=first_session):
        tokens = torch.from_numpy(rng.integers(3, VOCABULARY, length))
        mask = torch.ones_like(tokens)
        scores = torch.zeros(length)
        scores[-1] = float(rng.integers(2))
        steps = {"min_global_steps": step - 1, "max_global_steps": step - 1}
        keys.append(f"{uid}_{session}_0")
        fields.append({
            **question, "uid": uid, "session_id": session, "global_steps": step,
            "prompts": prompt, "responses": tokens, "input_ids": torch.cat([prompt, tokens]),
            "position_ids": torch.arange(len(prompt) + length), "response_mask": mask, "loss_mask": mask,
            "rollout_log_probs": torch.from_numpy(-rng.exponential(0.5, length).astype(np.float32)),
            "rm_scores": scores, "num_turns": 2, "metrics": {}, "extra_fields": dict(steps), "multi_modal_inputs": {},
        })  # fmt: skip
        lengths = {"prompt_len": len(prompt), "response_len": length, "seq_len": len(prompt) + length}
        tags.append({"status": "success", "global_steps": step} | steps | lengths)
    return keys, fields, tags
