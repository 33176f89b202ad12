"""verl's own reward functions: which data sources they score, with what, and which answers they read.

verl is imported by the calls, not by this module: it takes seconds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

GSM8K = "openai/gsm8k"
# What verl itself passes or what its own reward functions accept.
KWARGS = frozenset(
    {
        "reward_router_address",
        "reward_model_tokenizer",
        "sandbox_fusion_url",
        "concurrent_semaphore",
        "memory_limit_mb",
    }
)


def score(
    data_source: str, response: str, ground_truth: Any, extra_info: dict | None, kwargs: dict[str, Any]
) -> dict[str, float]:
    """Score by verl's own function: its score, and its `acc` or else whether the score is 1.

    Raises:
        NotImplementedError: it does not know the source.
    """
    from verl.utils.reward_score import default_compute_score

    passed_on = {name: value for name, value in kwargs.items() if name in KWARGS}
    result = default_compute_score(data_source, response, ground_truth, extra_info, **passed_on)
    if isinstance(result, dict):
        value = float(result["score"])
        return {"score": value, "acc": float(result.get("acc", value >= 1.0))}
    return {"score": float(result), "acc": float(result >= 1.0)}


@cache
def problem(data_source: str) -> str | None:
    """Why verl's own function cannot score a source, or None: it is asked with what no branch of it can work with."""
    from verl.utils.reward_score import default_compute_score

    try:
        default_compute_score(data_source, None, None)
    except NotImplementedError:
        return f"no reward function for data source {data_source!r}"
    except ImportError as error:
        package = f"the package {error.name!r}" if error.name else f"what is not there ({error})"
        return f"verl's reward function for data source {data_source!r} needs {package}; install it"
    except (TypeError, AttributeError, ValueError, AssertionError):
        return None
    return None


def gsm8k_answer(response: str) -> str | None:
    """What verl takes for the final answer to a question of `openai/gsm8k`: the number after the last `####`."""
    from verl.utils.reward_score.gsm8k import extract_solution

    return extract_solution(response)
