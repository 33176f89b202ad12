"""Groups that verl's replay buffer takes out of the queue: too old, failed, by DAPO's filter, or more than a batch."""

from collections.abc import Callable
from typing import Any

from verl_dots.bridge.queue.rows import TRAIN, Rows


def tell_evictions(buffer: Any, told: Callable[[set[str], Rows], None]) -> None:
    """Have verl's buffer say which groups it evicts, before it does.

    Args:
        buffer: verl's replay buffer; one of the user's may evict in another way, of which nothing is told.
        told: called with the uids and with the rows that have come of these groups.
    """
    if not hasattr(buffer, "_clear_groups"):
        return
    clear = buffer._clear_groups

    def clear_told(partition_id: str, uids: set[str]) -> None:
        try:
            if partition_id == TRAIN and uids:
                there = Rows.of(list(buffer.partitions[TRAIN]), list(buffer.partitions[TRAIN].values()))
                told(uids, there.at([place for place, uid in enumerate(there.uids) if uid in uids]))
        finally:  # what is told of is taken out, whether the run ends for it or not
            clear(partition_id, uids)

    buffer._clear_groups = clear_told
