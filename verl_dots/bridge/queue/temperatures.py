"""Each row's own temperature, for the forward passes and updates that verl makes at one for all."""

import torch

from verl_dots.bridge.queue.pinned import LEFT_OUT
from verl_dots.bridge.queue.row_tags import TEMPERATURE
from verl_dots.bridge.queue.rows import Rows


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
