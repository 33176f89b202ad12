"""Parts of a batch of the TransferQueue, what its tags say of a row, and what goes to the workers with it."""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions

from verl_dots.bridge.groups import place_of

# Tags of a row.
STORED = "stored"  # sampled in an earlier step; its reward and its behaviour log-probs came with it
REPLAYED = "replayed"  # trained on in an earlier step
TEMPERATURE = "temperature"  # that a stored row was sampled at

LEFT_OUT = "__left_out__"


def is_stored(tag: Mapping[str, Any]) -> bool:
    """Whether the row with this tag was sampled in an earlier step."""
    return bool(tag.get(STORED))


def fresh_rows(batch: KVBatchMeta) -> KVBatchMeta:
    """The rows that no earlier step has trained on."""
    return rows_at(batch, [place for place, tag in enumerate(batch.tags) if not tag.get(REPLAYED)])


def unstored_rows(batch: KVBatchMeta) -> KVBatchMeta:
    """The rows that were sampled in this step."""
    return rows_at(batch, [place for place, tag in enumerate(batch.tags) if not is_stored(tag)])


def real_rows(batch: KVBatchMeta) -> KVBatchMeta:
    """The rows that are not there only to make their number divide."""
    return rows_at(batch, [place for place, tag in enumerate(batch.tags) if not tag.get("is_padding")])


class PinnedInfo(dict):
    """A batch's extra_info of which verl cannot change some entries; see `pin`."""

    def __init__(self, content: Mapping[str, Any], pinned: Mapping[str, Any]):
        super().__init__(content)
        self.pinned = {**getattr(content, "pinned", {}), **pinned}
        self.update()

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        super().update({key: value for key, value in self.pinned.items() if value != LEFT_OUT})
        for key in [key for key, value in self.pinned.items() if value == LEFT_OUT]:
            self.pop(key, None)

    def __reduce__(self):
        return PinnedInfo, (dict(self), self.pinned)


def pin(batch: KVBatchMeta, entries: Mapping[str, Any]) -> None:
    """Hold entries of what goes to the workers with a batch, whatever verl puts there; LEFT_OUT removes one."""
    batch.extra_info = PinnedInfo(batch.extra_info, entries)


def rows_at(batch: KVBatchMeta, places: Sequence[int]) -> KVBatchMeta:
    """The rows of a batch at some places, in their order."""
    keys, tags = ([column[place] for place in places] for column in (batch.keys, batch.tags))
    extra_info = copy.copy(batch.extra_info)
    return KVBatchMeta(
        partition_id=batch.partition_id, keys=keys, tags=tags, fields=batch.fields, extra_info=extra_info
    )


def without_groups(batch: KVBatchMeta, uids: Collection[str]) -> tuple[KVBatchMeta, int]:
    """A batch without some groups, whose rows leave the TransferQueue, too; and the tokens of their responses."""
    leaving = [place for place, key in enumerate(batch.keys) if place_of(key)[0] in uids]
    if not leaving:
        return batch, 0
    tq.kv_clear(keys=[batch.keys[place] for place in leaving], partition_id=batch.partition_id)
    staying = [place for place, key in enumerate(batch.keys) if place_of(key)[0] not in uids]
    return rows_at(batch, staying), sum(batch.tags[place]["response_len"] for place in leaving)


def sort_rows(batch: KVBatchMeta) -> None:
    """Order a batch by prompt and session, stored groups spread among the others, whatever order it has arrived in."""
    places = [place_of(key) for key in batch.keys]
    batch.reorder(sorted(range(len(places)), key=places.__getitem__))
    batch.reorder(spread([place_of(key)[0] for key in batch.keys], [is_stored(tag) for tag in batch.tags]))


def spread(uids: Sequence[str], stored: Sequence[bool]) -> list[int]:
    """Places of rows in an order that spreads stored groups evenly among the others.

    A batch is cut into mini-batches in its order: none should be of one kind alone. Groups stay together, those
    of a kind in their own order.
    """
    first: dict[str, bool] = {}
    for uid, old in zip(uids, stored, strict=True):
        first.setdefault(uid, old)
    position = {}
    for kind in (False, True):
        names = [uid for uid, old in first.items() if old == kind]
        position |= {uid: (number + 0.5) / len(names) for number, uid in enumerate(names)}
    # Stable: of equal positions the group that is not stored comes first, and rows of a group keep their order.
    return sorted(range(len(uids)), key=lambda place: (position[uids[place]], first[uids[place]], uids[place]))


def forward_multiple(rollout: Any, ranks: int) -> int:
    """Of which the rows of a forward pass must be: whole micro-batches of each of the actor's ranks."""
    return ranks * (1 if rollout.log_prob_use_dynamic_bsz else rollout.log_prob_micro_batch_size_per_gpu or 1)


def balanced_part(batch: KVBatchMeta, places: Sequence[int], ranks: int, multiple: int) -> KVBatchMeta:
    """Some rows, in an order that gives each rank equal work; filled up from the others where they do not divide.

    Args:
        places: of the rows that are wanted.
        ranks: data-parallel ranks, each of which gets the next equal part.
        multiple: of which the number of rows must be.
    """
    if len(places) == len(batch):
        return batch
    chosen = set(places)
    others = [place for place in range(len(batch)) if place not in chosen]
    places = [*places, *others[: -len(places) % multiple]]
    if ranks > 1:
        work = calculate_workload(torch.tensor([batch.tags[place]["seq_len"] for place in places]))
        found = get_seqlen_balanced_partitions(work, k_partitions=ranks, equal_size=True)
        places = [places[position] for part in found for position in part]
    return rows_at(batch, places)
