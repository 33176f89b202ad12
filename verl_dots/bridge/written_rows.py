"""Rows of the agent loop workers on their way to the TransferQueue: many in one call.

verl's worker writes each trajectory alone, and the status of its group before and after. Here the rows of a group
wait for its last one, and groups that end at the same time travel together. A status is written after its rows.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from tensordict import NonTensorData, TensorDict


@dataclass
class GroupRows:
    """Rows of a group that have not been written yet.

    Attributes:
        keys, fields, tags: one of each a row.
    """

    keys: list[str] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)

    def add(self, keys: list[str], fields: list[dict[str, Any]], tags: list[dict[str, Any]]) -> None:
        """Take rows of one of the group's rollouts."""
        self.keys += keys
        self.fields += fields
        self.tags += tags


@dataclass(frozen=True)
class _Ended:
    uid: str
    partition: str
    rows: GroupRows
    tag: dict[str, Any]
    written: asyncio.Future


class RowWriter:
    """Writes ended groups; those that end while others are written go together in the next call.

    Args:
        queue: module or client with TransferQueue's `async_kv_batch_put`.
        together: makes a batch of rows' fields; verl's `list_of_dict_to_tensordict`.
    """

    def __init__(self, queue: Any, together: Callable[[list[dict[str, Any]]], TensorDict]):
        self._queue, self._together = queue, together
        self._ended: list[_Ended] = []
        self._writing: asyncio.Task | None = None

    async def write(self, uid: str, partition: str, rows: GroupRows, tag: dict[str, Any]) -> None:
        """Write a group's rows, then its tag under `uid`. Returns, or raises, once it has been done."""
        written = asyncio.get_running_loop().create_future()
        self._ended.append(_Ended(uid, partition, rows, tag, written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        while self._ended:
            ended, self._ended = self._ended, []
            by_partition = defaultdict(list)
            for group in ended:
                by_partition[group.partition].append(group)
            for partition, groups in by_partition.items():
                await self._write_or_raise(partition, groups)

    async def _write_or_raise(self, partition: str, groups: list[_Ended]) -> None:
        """Write groups together; where that fails each alone, so that one fails no other."""
        try:
            await self._write(partition, groups)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, who gets it
            if len(groups) == 1:
                groups[0].written.set_exception(error)
                return
            for group in groups:
                await self._write_or_raise(partition, [group])
        else:
            for group in groups:
                group.written.set_result(None)

    async def _write(self, partition: str, groups: list[_Ended]) -> None:
        alike: dict[tuple, GroupRows] = defaultdict(GroupRows)  # a batch has the same fields in all rows
        for group in groups:
            rows = group.rows
            for key, fields, tag in zip(rows.keys, rows.fields, rows.tags, strict=True):
                alike[tuple(sorted(fields))].add([key], [fields], [tag])
        for rows in alike.values():
            await self._queue.async_kv_batch_put(
                keys=rows.keys, fields=self._together(wrapped(rows.fields)), tags=rows.tags, partition_id=partition
            )
        await self._queue.async_kv_batch_put(
            keys=[group.uid for group in groups], partition_id=partition, tags=[group.tag for group in groups]
        )


def wrapped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose values other than tensors are wrapped as tensordict does it, once for all rows that share a value.

    The columns of a question are the same objects in all rows of its group.
    """
    known: dict[int, NonTensorData] = {}

    def wrap(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value
        if (found := known.get(id(value))) is None:
            found = known[id(value)] = NonTensorData(value)
        return found

    return [{name: wrap(value) for name, value in row.items()} for row in rows]
