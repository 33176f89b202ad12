"""When groups that have ended are written, what is written, and what happens to the others where one cannot be."""

import asyncio
from typing import Any

import numpy as np
import pytest
import torch
from transfer_queue.metadata import extract_field_schema
from transfer_queue.storage.managers.simple_storage_manager import AsyncSimpleStorageManager
from transfer_queue.utils.serial_utils import decode, encode
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from verl_dots.bridge.agents import written_rows
from verl_dots.bridge.agents.written_rows import Columns, GroupRows, RowWriter, batches_for


class Queue:
    """Keeps calls and what they put; one that holds the key `refused` raises `error`."""

    def __init__(self, refused: str = "", error: BaseException | None = None):
        self.calls: list[list[str]] = []
        self.put: dict[tuple[str, str], dict] = {}
        self.refused, self.error = refused, error

    async def async_kv_batch_put(self, *, keys, partition_id, fields=None, tags=None) -> None:
        await asyncio.sleep(0)
        if self.refused in keys:
            raise self.error or ValueError(f"{self.refused} is refused")
        self.calls.append(list(keys))
        for place, key in enumerate(keys):
            row = {} if fields is None else {name: fields[name][place] for name in sorted(fields.keys())}
            plain = {name: value.tolist() if isinstance(value, torch.Tensor) else value for name, value in row.items()}
            self.put[partition_id, key] = plain | {"tag": tags[place]}


def row(name: str, **more: object) -> dict:
    return {"uid": name, "score": torch.tensor([1.0, ord(name)]), **more}


def written(queue: Queue, ends: dict[str, float], hold_seconds: float = 60, never: float | None = None, **how) -> dict:
    """Groups of a row that end after some seconds each; one more may take `never` seconds and write nothing.

    Args:
        how: of some groups, by name: "partition" and "more" fields; `cancelled`: the group that is given up at once.
    """
    writer = RowWriter(queue, Columns, hold_seconds)

    async def group(name: str, seconds: float) -> None:
        with writer.group(name):
            await asyncio.sleep(seconds)
            rows = GroupRows()
            rows.add([f"{name}_0_0"], [row(name, **how.get(name, {}).get("more", {}))], [{"of": name}])
            await writer.write(name, how.get(name, {}).get("partition", "train"), rows, {"status": name})

    async def run() -> dict[str, object]:
        tasks = {name: asyncio.ensure_future(group(name, seconds)) for name, seconds in ends.items()}
        await asyncio.sleep(0.005)
        if "cancelled" in how:
            tasks[how["cancelled"]].cancel()
        if never is not None:
            with writer.group("never"):
                await asyncio.sleep(never)
        done = await asyncio.wait_for(asyncio.gather(*tasks.values(), return_exceptions=True), 20)
        return dict(zip(ends, done, strict=True))

    return asyncio.run(run())


def test_the_last_group_to_end_takes_all_others_with_it():
    queue = Queue()
    written(queue, {"a": 0.0, "b": 0.06, "c": 0.03})
    assert queue.calls == [["a_0_0", "c_0_0", "b_0_0"], ["a", "c", "b"]]
    for name in "abc":
        assert queue.put["train", f"{name}_0_0"] == {"uid": name, "score": [1.0, ord(name)], "tag": {"of": name}}
        assert queue.put["train", name] == {"tag": {"status": name}}


def test_groups_are_written_once_as_many_have_ended_as_have_not(monkeypatch):
    monkeypatch.setattr(written_rows, "LEAST_ROWS", 1)
    queue = Queue()
    written(queue, {name: 0.02 * place for place, name in enumerate("abcdefgh")})
    assert [call for call in queue.calls if len(call[0]) == 1] == [[*"abcd"], ["e", "f"], ["g"], ["h"]]


def test_few_rows_wait_for_the_last_group():
    queue = Queue()
    written(queue, {name: 0.02 * place for place, name in enumerate("abcdefgh")})
    assert [call for call in queue.calls if len(call[0]) == 1] == [[*"abcdefgh"]]


def test_a_group_waits_no_longer_than_it_may():
    queue = Queue()
    written(queue, {"a": 0.0, "b": 0.3}, hold_seconds=0.01)
    assert queue.calls == [["a_0_0"], ["a"], ["b_0_0"], ["b"]]


def test_a_group_that_ends_without_rows_keeps_no_other_waiting():
    queue = Queue()
    written(queue, {"a": 0.0}, never=0.02)
    assert queue.calls == [["a_0_0"], ["a"]]


def test_each_partition_and_each_set_of_fields_is_a_batch_of_its_own():
    queue = Queue()
    written(queue, {"a": 0.0, "b": 0.0, "c": 0.0}, b={"partition": "val"}, c={"more": {"turns": 2}})
    assert sorted(queue.calls) == [["a", "c"], ["a_0_0"], ["b"], ["b_0_0"], ["c_0_0"]]
    assert queue.put["train", "c_0_0"] == {"uid": "c", "score": [1.0, 99.0], "turns": 2, "tag": {"of": "c"}}
    assert queue.put["val", "b_0_0"] == {"uid": "b", "score": [1.0, 98.0], "tag": {"of": "b"}}


@pytest.mark.parametrize("refused", ["b_0_0", "b"])
def test_a_group_that_the_queue_refuses_fails_alone(refused):
    queue = Queue(refused)
    results = written(queue, {"a": 0.0, "b": 0.0, "c": 0.0})
    assert results["a"] is results["c"] is None and str(results["b"]) == f"{refused} is refused"
    assert {("train", key) for key in ("a", "a_0_0", "c", "c_0_0")} <= queue.put.keys()


def test_a_group_that_is_given_up_leaves_no_other_waiting():
    queue = Queue()
    results = written(queue, {"a": 0.0, "b": 0.03, "c": 0.03}, cancelled="a")
    assert isinstance(results["a"], asyncio.CancelledError) and results["b"] is results["c"] is None
    assert {("train", "b"), ("train", "c")} <= queue.put.keys()


def test_a_queue_that_is_cancelled_leaves_nobody_waiting():
    results = written(Queue("a_0_0", asyncio.CancelledError()), {"a": 0.0, "b": 0.0})
    assert all(isinstance(result, asyncio.CancelledError) for result in results.values())


ROWS = [
    {
        "uid": name,
        "extra": {"level": 3, "of": (1, 2)},
        "turns": None,
        "number": np.int64(number),
        "messages": np.array([{"role": "user", "content": name}], dtype=object),
        "input_ids": torch.arange(2 + number),
        "position": torch.arange(3) + number,
        "scores": torch.ones(1 + number, 2),
    }
    for number, name in enumerate("abc")
]


def sent(fields: Any) -> tuple[dict, dict]:
    """The schema that the TransferQueue's controller is told, and what its storage decodes of each field."""
    of_unit = {name: AsyncSimpleStorageManager._select_by_positions(fields[name], [0, 2]) for name in ROWS[0]}
    return extract_field_schema(fields), decode(encode(of_unit))


def test_columns_are_sent_as_the_tensordict_of_verl_is():
    (schema, values), (of_verl, its_values) = sent(Columns(ROWS)), sent(list_of_dict_to_tensordict(ROWS))
    assert schema == of_verl and schema["input_ids"]["per_sample_shapes"] == [(2,), (3,), (4,)]
    assert list(values) == list(its_values) == list(ROWS[0])
    for name in ROWS[0]:
        for mine, of_its in zip(values[name], its_values[name], strict=True):
            assert type(mine) is type(of_its) and np.array_equal(mine, of_its), name
    assert values["uid"] == ["a", "c"] and values["turns"] == [None, None]
    assert [one.tolist() for one in values["input_ids"]] == [[0, 1], [0, 1, 2, 3]]


def test_one_row_is_a_batch_too():
    schema, values = extract_field_schema(Columns(ROWS[:1])), Columns(ROWS[:1])
    assert values.batch_size == (1,) and values["uid"] == ["a"] and values["input_ids"].tolist() == [[0, 1]]
    assert schema == extract_field_schema(list_of_dict_to_tensordict(ROWS[:1]))


def test_another_storage_gets_the_batch_of_verl():
    assert batches_for("SimpleStorage", list_of_dict_to_tensordict) is Columns
    assert batches_for("MooncakeStore", list_of_dict_to_tensordict) is list_of_dict_to_tensordict


@pytest.mark.parametrize("kind", [torch.int64, torch.float32, torch.bfloat16, torch.bool, torch.int16, torch.uint16])
def test_a_column_of_any_type_is_kept(kind):
    column = Columns([{"x": torch.ones(2).to(kind)}, {"x": torch.ones(3).to(kind)}])["x"]
    assert [(one.dtype, len(one)) for one in column.unbind()] == [(kind, 2), (kind, 3)]


def test_a_column_of_several_types_is_refused_as_verl_does_it():
    rows = [{"x": torch.tensor([1, 2, 3])}, {"x": torch.tensor([0.25, 0.75])}]
    for together in (Columns, list_of_dict_to_tensordict):
        with pytest.raises(RuntimeError, match="same dtype"):
            together(rows)
