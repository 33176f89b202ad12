"""Groups of verl's TransferQueue by their names: those that are there, and those that a checkpoint has left behind."""

from collections.abc import Collection, Sequence

import transfer_queue as tq

from verl_dots.bridge.queue.looks import Looks
from verl_dots.bridge.queue.row_tags import place_of
from verl_dots.bridge.queue.rows import TRAIN, Rows

ENDED = ("finished", "failure")


def arrived(uids: Sequence[str], partition: str, looks: Looks) -> Rows:
    """All rows of some groups, once each of these has ended; their prompts leave the queue.

    verl's replay buffer hands over the oldest groups that have ended, whichever these are.

    Args:
        uids: of the groups, whose prompts are in the queue.
        partition: that they are in.
        looks: of the trainer.
    """
    names = set(uids)
    while True:
        with looks.look():
            tags = _tags(partition)
        keys = [key for key, tag in tags.items() if not tag.get("is_prompt") and place_of(key)[0] in names]
        ended = sum(tags[uid]["status"] in ENDED for uid in uids)
        if ended == len(uids):
            break
        looks.pause(ended, len(uids) - ended, partition, len(keys))
    if uids:
        tq.kv_clear(keys=list(uids), partition_id=partition)
    return Rows.of(keys, [tags[key] for key in keys], partition)


def prompts_there(partition: str = TRAIN) -> set[str]:
    """Names of the groups that nobody has taken yet, whether they have ended or not."""
    return {key for key, tag in _tags(partition).items() if tag.get("is_prompt")}


def keep_only(uids: Collection[str], partition: str = TRAIN) -> None:
    """Take the rows of all other groups out of the queue: a checkpoint holds those of the step that it was made in."""
    tags = _tags(partition)
    keys = [key for key, tag in tags.items() if not tag.get("is_prompt") and place_of(key)[0] not in uids]
    Rows.of(keys, [tags[key] for key in keys], partition).clear()


def empty(partition: str) -> None:
    """Take everything of a partition out of the queue, prompts among it."""
    tags = _tags(partition)
    Rows.of(list(tags), list(tags.values()), partition).clear()


def _tags(partition: str) -> dict[str, dict]:
    return (tq.kv_list(partition_id=partition) or {}).get(partition) or {}
