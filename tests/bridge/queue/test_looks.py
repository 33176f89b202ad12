"""Pauses between two looks for rollouts, without Ray."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from verl_dots.bridge.agents.written_rows import Columns, GroupRows, RowWriter
from verl_dots.bridge.queue.looks import LONGEST_SECONDS, Looks, look_with


def looks_of(seconds, told):
    looks, rests = Looks(seconds, told.append), []
    looks.rest = rests.append
    return looks, rests


class Buffer:
    """As verl's replay buffer looks for rollouts; the first polls see one group more each."""

    def __init__(self, groups, look_seconds=0.0):
        self.pending_keys, self.running_keys = {"train": set()}, {"train": set(range(groups))}
        self.finished_keys, self.failure_keys, self.partitions = {"train": set()}, {"train": set()}, {"train": {}}
        self.poll_interval, self.look_seconds = 30.0, look_seconds

    def _sync_metadata_from_transfer_queue(self):
        time.sleep(self.look_seconds)

    def _wait_for_next_poll(self, partition_id, last_debug_time):
        time.sleep(self.poll_interval)
        if self.running_keys["train"]:
            self.finished_keys["train"].add(self.running_keys["train"].pop())
        return last_debug_time + 1


def test_what_has_come_is_news_and_a_look_that_sees_nothing_new_is_none():
    told, buffer = [], Buffer(2)
    looks, rests = looks_of(0.25, told)
    look_with(buffer, looks)
    assert [buffer._wait_for_next_poll("train", at) for at in range(5)] == [1, 2, 3, 4, 5]
    assert told == [
        f"rollouts: {ended} groups are there, {2 - ended} are with the engine or the reward" for ended in range(3)
    ]
    assert rests == [0.25] * 5 and buffer.poll_interval == 0.25
    looks.begin()
    buffer._wait_for_next_poll("train", 5)
    assert len(told) == 4 and told[-1] == told[-2]


def test_looking_takes_a_tenth_of_the_time_and_no_pause_is_long():
    buffer = Buffer(1, look_seconds=0.02)
    looks, rests = looks_of(0.001, [])
    look_with(buffer, looks)
    buffer._sync_metadata_from_transfer_queue()
    buffer._wait_for_next_poll("train", 0)
    assert 0.18 <= rests[0] < LONGEST_SECONDS  # nine times what the look took, which is 0.02 s at least
    looks._took = 10.0
    looks.pause(0, 1)
    looks.longest = 0.5
    looks.pause(0, 1)
    looks.seconds = 7.0
    looks.pause(0, 1)
    assert rests[1:] == [LONGEST_SECONDS, 0.5, 7.0]


def test_a_sampler_that_waits_in_a_way_of_its_own_waits_the_seconds_of_the_config():
    look_with(sampler := SimpleNamespace(), Looks(0.5, print))
    assert vars(sampler) == {"poll_interval": 0.5}


class Refused:
    """A queue that takes no rows of `b`."""

    async def async_kv_batch_put(self, *, keys, **_):
        await asyncio.sleep(0)
        if "b" in keys:
            raise ValueError("b is refused")


@pytest.mark.parametrize("ends", [{}, {"a": 0.03}, {"a": 0.0, "b": 0.02, "c": 0.05}])
def test_a_worker_is_over_once_all_its_groups_are_written_or_have_failed(ends):
    async def run():
        writer, order = RowWriter(Refused(), Columns), []

        async def group(name, seconds):
            with writer.group(name):
                await asyncio.sleep(seconds)
                try:
                    await writer.write(name, "train", GroupRows(), {"status": "finished"})
                finally:
                    order.append(name)

        tasks = [asyncio.ensure_future(group(name, seconds)) for name, seconds in ends.items()]
        await asyncio.sleep(0)
        await asyncio.wait_for(writer.over(), 20)
        order.append("over")
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(writer.over(), 20)
        return order

    assert asyncio.run(run()) == [*ends, "over"]


def test_who_asked_before_is_answered_when_somebody_asks_again():
    async def run():
        writer = RowWriter(Refused(), Columns)
        with writer.group("a"):
            first = asyncio.ensure_future(writer.over())
            await asyncio.sleep(0)
            last = asyncio.ensure_future(writer.over())
            await asyncio.wait_for(first, 20)
            there = last.done()
        await asyncio.wait_for(last, 20)
        return there

    assert asyncio.run(run()) is False
