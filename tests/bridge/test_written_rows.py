"""When groups that have ended are written, and what happens to the others where one cannot be."""

import asyncio

import pytest

from verl_dots.bridge.written_rows import GroupRows, RowWriter


class Queue:
    """Notes the keys of every call; a call that holds `refused` raises."""

    def __init__(self, refused: str = ""):
        self.calls: list[list[str]] = []
        self.refused = refused

    async def async_kv_batch_put(self, *, keys, **_) -> None:
        await asyncio.sleep(0)
        if self.refused in keys:
            raise ValueError(f"{self.refused} is refused")
        self.calls.append(list(keys))


def written(queue: Queue, ends: dict[str, float], hold_seconds: float, never: float | None = None) -> dict[str, object]:
    """Groups that end after some seconds each; one more may take `never` seconds and write nothing."""
    writer = RowWriter(queue, list, hold_seconds)

    async def group(name: str, seconds: float) -> None:
        with writer.group():
            await asyncio.sleep(seconds)
            rows = GroupRows()
            rows.add([f"{name}_0_0"], [{}], [{}])
            await writer.write(name, "train", rows, {"status": "finished"})

    async def fails(seconds: float) -> None:
        with writer.group():
            await asyncio.sleep(seconds)

    async def run() -> dict[str, object]:
        others = [] if never is None else [asyncio.ensure_future(fails(never))]
        results = await asyncio.gather(*(group(*one) for one in ends.items()), return_exceptions=True)
        await asyncio.gather(*others)
        return dict(zip(ends, results, strict=True))

    return asyncio.run(run())


def test_the_last_group_to_end_takes_all_others_with_it():
    queue = Queue()
    written(queue, {"a": 0.0, "b": 0.02, "c": 0.01}, hold_seconds=60)
    assert queue.calls == [["a_0_0", "c_0_0", "b_0_0"], ["a", "c", "b"]]


def test_a_group_waits_no_longer_than_it_may():
    queue = Queue()
    written(queue, {"a": 0.0, "b": 0.3}, hold_seconds=0.01)
    assert queue.calls == [["a_0_0"], ["a"], ["b_0_0"], ["b"]]


def test_a_group_that_ends_without_rows_keeps_no_other_waiting():
    queue = Queue()
    written(queue, {"a": 0.0}, hold_seconds=60, never=0.02)
    assert queue.calls == [["a_0_0"], ["a"]]


@pytest.mark.parametrize("refused", ["b_0_0", "b"])
def test_a_group_that_the_queue_refuses_fails_alone(refused):
    queue = Queue(refused)
    results = written(queue, {"a": 0.0, "b": 0.0, "c": 0.0}, hold_seconds=60)
    assert results["a"] is results["c"] is None and str(results["b"]) == f"{refused} is refused"
    assert ["a"] in queue.calls and ["c"] in queue.calls
