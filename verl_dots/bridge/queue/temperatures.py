"""Temperatures as verl's trainer computes with them: the numbers it can take, and each row's own one."""

import torch
from omegaconf import DictConfig, OmegaConf
from verl.utils.torch_dtypes import PrecisionType

from verl_dots.bridge.queue.pinned import LEFT_OUT
from verl_dots.bridge.queue.row_tags import TEMPERATURE
from verl_dots.bridge.queue.rows import Rows


def computed_temperature(config: DictConfig, temperature: float) -> float:
    """The temperature that verl's trainer divides by where it is given this one: that in the dtype of the logits.

    bfloat16 has 128 numbers from 1 to 2, and of 0.6 makes 0.6015625, where an engine takes any number. In float32 both
    take what is given (verl/workers/engine/fsdp/transformer_impl.py, _scale_logits_by_temperature).

    Args:
        config: verl's, of the whole run.
    """
    mixed = OmegaConf.select(config, "actor_rollout_ref.actor.fsdp_config.mixed_precision") or {}
    dtype = PrecisionType.to_dtype(mixed.get("param_dtype") or "bf16")  # as verl reads it
    return temperature if dtype == torch.float32 else torch.tensor(temperature, dtype=dtype).item()


def keep_temperatures(rows: Rows, temperature: float, one_for_all: bool = False) -> None:
    """See to it that log-probs are computed at each row's own temperature.

    Args:
        rows: of a step; the tag TEMPERATURE of those of another temperature says so.
        temperature: of the others.
        one_for_all: whether the model knows one temperature alone, as its fused kernels do.

    Raises:
        ValueError: rows of several temperatures where the model knows one.
    """
    of_rows = [float(tag.get(TEMPERATURE, temperature)) for tag in rows.tags]
    found = sorted(set(of_rows))
    if found in ([], [float(temperature)]):
        return
    differ = len(found) > 1
    if differ and one_for_all:
        raise ValueError(
            f"rollouts of temperatures {found} in one batch: actor_rollout_ref.model.use_fused_kernels knows one "
            "for all rows; turn it off, or resume at the temperature of the rollouts in the replay buffer"
        )
    if differ:
        rows.put({TEMPERATURE: torch.tensor(of_rows)})
    # One for all, but not the step's: every row comes from a step or a run that had another temperature.
    rows.pin({TEMPERATURE: LEFT_OUT if differ else found[0]})
