"""Rows of the agent loop workers on their way to the TransferQueue: many in one call.

verl's worker writes each trajectory alone, and the status of its group before and after. Here the rows of a group
wait for its last one, and groups that end near each other travel together. A status is written after its rows.

verl makes a TensorDict of them, which wraps each value of each row. The TransferQueue's own storage takes the columns
apart again; `Columns` is what it reads of a TensorDict, and nothing more.
"""

import asyncio
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

HOLD_SECONDS = 0.5
LEAST_ROWS = 16  # of a write while other groups are rolled out


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
    """Writes ended groups together: once as many wait as are rolled out, or the first of them has waited enough.

    A write costs much of its time for itself, whatever it holds, and in a step nobody reads a group before the last.
    So there are few of them; yet the last one, for which the trainer waits, is small.

    Args:
        queue: module or client with TransferQueue's `async_kv_batch_put`.
        together: makes a batch of rows' fields: `Columns`, or verl's `list_of_dict_to_tensordict`.
        hold_seconds: that an ended group waits for others at most.
    """

    def __init__(self, queue: Any, together: Callable[[list[dict[str, Any]]], Any], hold_seconds: float = HOLD_SECONDS):
        self._queue, self._together, self._hold_seconds = queue, together, hold_seconds
        self._begun = 0  # groups that are not over, among them those that wait here or are being written
        self._over: asyncio.Future | None = None  # of who asked last
        self._rolled_out: set[str] = set()  # groups that have not ended
        self._ended: list[_Ended] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task] = set()

    @contextmanager
    def group(self, uid: str) -> Iterator[None]:
        """For as long as a group is rolled out and written: others wait for it."""
        self._begun += 1
        self._rolled_out.add(uid)
        try:
            yield
        finally:
            self._begun -= 1
            self._rolled_out.discard(uid)
            self._write_if_few_are_left()
            if not self._begun:
                self._tell_over()

    async def over(self) -> None:
        """Returns once every group that has begun has been rolled out and written, or has failed.

        Who asked before is answered now: where groups begin all the time, those who wait would become ever more.
        """
        self._tell_over()
        if self._begun:
            self._over = asyncio.get_running_loop().create_future()
            await self._over

    def _tell_over(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def write(self, uid: str, partition: str, rows: GroupRows, tag: dict[str, Any]) -> None:
        """Write a group's rows, then its tag under `uid`. Returns, or raises, once it has been done."""
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        self._rolled_out.discard(uid)
        self._ended.append(_Ended(uid, partition, rows, tag, written))
        if self._timer is None:
            self._timer = loop.call_later(self._hold_seconds, self._write_now)
        self._write_if_few_are_left()
        await written

    def _write_if_few_are_left(self) -> None:
        left, ended = len(self._rolled_out), len(self._ended)
        if ended and (left == 0 or (left <= ended and sum(len(one.rows.keys) for one in self._ended) >= LEAST_ROWS)):
            self._write_now()

    def _write_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended, self._ended = self._ended, []
        task = asyncio.ensure_future(self._write_all(ended))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_all(self, ended: list[_Ended]) -> None:
        by_partition = defaultdict(list)
        for group in ended:
            by_partition[group.partition].append(group)
        try:
            await asyncio.gather(*(self._write_or_raise(*one) for one in by_partition.items()))
        finally:
            for group in ended:
                if not group.written.done():  # the write was cancelled: nobody may wait for it for ever
                    group.written.cancel()

    async def _write_or_raise(self, partition: str, groups: list[_Ended]) -> None:
        """Write groups together; where that fails each alone, so that one fails no other."""
        try:
            await self._write(partition, groups)
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, who gets it
            if len(groups) > 1:
                await asyncio.gather(*(self._write_or_raise(partition, [group]) for group in groups))
            elif not groups[0].written.done():
                groups[0].written.set_exception(error)
        else:
            for group in groups:
                if not group.written.done():  # one who waited may have been cancelled
                    group.written.set_result(None)

    async def _write(self, partition: str, groups: list[_Ended]) -> None:
        alike: dict[tuple, GroupRows] = defaultdict(GroupRows)  # a batch has the same fields in all rows
        for group in groups:
            rows = group.rows
            for key, fields, tag in zip(rows.keys, rows.fields, rows.tags, strict=True):
                alike[tuple(sorted(fields))].add([key], [fields], [tag])
        for rows in alike.values():
            await self._queue.async_kv_batch_put(
                keys=rows.keys, fields=self._together(rows.fields), tags=rows.tags, partition_id=partition
            )
        await self._queue.async_kv_batch_put(
            keys=[group.uid for group in groups], partition_id=partition, tags=[group.tag for group in groups]
        )


class Columns(dict[str, Any]):
    """Fields of rows by name, as the TransferQueue's SimpleStorage reads them of a batch.

    A column of tensors is one tensor, nested where their shapes differ; any other is the list of its values.

    Args:
        rows: one dict of fields each, all with the same names.
    """

    def __init__(self, rows: list[dict[str, Any]]):
        super().__init__({name: _column([row[name] for row in rows]) for name in rows[0]})
        self.batch_size = torch.Size([len(rows)])


def _column(values: list[Any]) -> Any:
    if not all(isinstance(value, torch.Tensor) for value in values):
        return values
    if all(value.shape == values[0].shape for value in values):
        return torch.stack(values)
    if len({value.dtype for value in values}) == 1:
        # This layout is taken apart faster. torch warns once that it is a prototype.
        with suppress(RuntimeError), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return torch.nested.as_nested_tensor(values, layout=torch.strided)
    # verl's layout takes a few types more, and raises where types differ.
    return torch.nested.as_nested_tensor(values, layout=torch.jagged)


def batches_for(backend: str, of_verl: Callable[[list[dict[str, Any]]], Any]) -> Callable[[list[dict[str, Any]]], Any]:
    """What makes a batch of rows' fields for a storage of the TransferQueue, by its name."""
    return Columns if backend == "SimpleStorage" else of_verl
