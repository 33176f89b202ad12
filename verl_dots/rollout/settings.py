"""Limits of an engine, and what it counts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineConfig:
    """Limits of an engine.

    Attributes:
        max_model_len: most tokens of prompt and response together.
        max_num_seqs: most sequences that run at the same time.
        max_prefill_tokens: most prompt tokens, padding included, in one forward pass (at least one prompt).
        seed: of the random numbers of requests that bring no seed.
    """

    max_model_len: int
    max_num_seqs: int = 256
    max_prefill_tokens: int = 8192
    seed: int = 0

    def __post_init__(self):
        for name in ("max_model_len", "max_num_seqs", "max_prefill_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"EngineConfig.{name}={getattr(self, name)}: must be at least 1")


@dataclass
class EngineStats:
    """What the engine has done since it was made."""

    prompt_tokens: int = 0
    shared_prompt_tokens: int = 0
    generated_tokens: int = 0
    decode_steps: int = 0
    prefills: int = 0
    completed: int = 0
    aborted: int = 0
