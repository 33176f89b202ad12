"""The groups of a batch of the TransferQueue: their rewards and their order."""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import transfer_queue as tq
from transfer_queue import KVBatchMeta


def place_of(key: str) -> tuple[str, int, int]:
    """(uid, session, output) of a trajectory's key `uid_session_output`."""
    uid, session, output = key.rsplit("_", 2)
    return uid, int(session), int(output)


LEFT_OUT = "__left_out__"


@dataclass(frozen=True)
class Group:
    """All rollouts of one question under one policy version."""

    uid: str
    rewards: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.rewards)

    @property
    def mean_reward(self) -> float:
        return sum(self.rewards) / len(self.rewards)

    @property
    def effective(self) -> bool:
        """Whether the rewards differ: with rewards of 0 and 1, whether 0 < mean reward < 1."""
        return max(self.rewards) > min(self.rewards)


def groups_of(batch: KVBatchMeta) -> dict[str, Group]:
    """Groups by uid, in the order of the batch; of a session with several outputs the last one counts."""
    last: dict[tuple[str, int], tuple[int, str]] = {}
    for key, tag in zip(batch.keys, batch.tags, strict=True):
        if not tag.get("is_padding"):
            uid, session, output = place_of(key)
            last[uid, session] = max(last.get((uid, session), (-1, "")), (output, key))
    keys = [key for _, key in last.values()]
    scores = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["rm_scores"])["rm_scores"]
    rewards: defaultdict[str, list[float]] = defaultdict(list)
    for (uid, _), score_T in sorted(zip(last, scores.unbind(), strict=True), key=lambda pair: pair[0]):
        rewards[uid].append(float(score_T.sum()))
    return {uid: Group(uid, tuple(values)) for uid, values in rewards.items()}


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


def spread(uids: Sequence[str], replayed: Sequence[bool]) -> list[int]:
    """Places of rows in an order that spreads replayed groups evenly among the fresh ones.

    A batch is cut into mini-batches in its order: none should be fresh or replayed alone. Groups stay together, fresh
    and replayed ones in their own order.
    """
    first: dict[str, bool] = {}
    for uid, old in zip(uids, replayed, strict=True):
        first.setdefault(uid, old)
    position = {}
    for kind in (False, True):
        names = [uid for uid, old in first.items() if old == kind]
        position |= {uid: (number + 0.5) / len(names) for number, uid in enumerate(names)}
    # Stable: of equal positions the fresh group comes first, and rows of a group keep their order.
    return sorted(range(len(uids)), key=lambda place: (position[uids[place]], first[uids[place]], uids[place]))
