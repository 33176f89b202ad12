import asyncio
import threading
from contextlib import asynccontextmanager
from functools import wraps
from math import prod

import pytest
import torch

from verl_dots.rollout import service as service_module
from verl_dots.rollout.engine import Engine
from verl_dots.rollout.kv_cache import SlotCache
from verl_dots.rollout.request import BadRequest, Request, SamplingParams
from verl_dots.rollout.service import EngineService
from verl_dots.rollout.settings import EngineConfig


@pytest.fixture
def service(model):
    made = EngineService(Engine(model, EngineConfig(max_model_len=4096, max_num_seqs=32, seed=5)), threads=1)
    yield made
    made.close()


def request(name, tokens=10, prompt=(1, 2, 3), index=0):
    return Request(name, prompt, SamplingParams(max_tokens=tokens, ignore_eos=True, rollout_index=index))


def awaited(test):
    """A coroutine as a test that ends within 30 seconds."""

    @wraps(test)
    def run(**fixtures):
        asyncio.run(asyncio.wait_for(test(**fixtures), 30))

    return run


@asynccontextmanager
async def busy(service):
    """The engine's thread is at a call of somebody's, and takes the posts of the block all together behind it."""
    over = threading.Event()
    call = asyncio.create_task(service._do(lambda: over.wait(30)))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        over.set()
    assert await call


async def begun(call):
    """A task of a call that has been posted and is not answered."""
    task = asyncio.create_task(call)
    await asyncio.sleep(0)
    assert not task.done()
    return task


def turned(model):
    """Other weights than the model's."""
    return {name: tensor.flip(0).clone() for name, tensor in model.state_dict().items()}


async def held_back(service, name):
    """A request that is not answered for the time being."""
    task = asyncio.create_task(service.generate(request(name)))
    await asyncio.sleep(0.05)
    assert not task.done()
    return task


@awaited
async def test_many_callers_at_once(service):
    given = [request(str(i), 1 + i % 20, index=i) for i in range(100)]
    done = await asyncio.gather(*(service.generate(each) for each in given))
    assert [len(completion.token_ids) for completion in done] == [1 + i % 20 for i in range(100)]


@awaited
async def test_a_bad_request_fails_alone(service):
    calls = [service.generate(request("good")), service.generate(request("bad", prompt=(99,)))]
    good, bad = await asyncio.gather(*calls, return_exceptions=True)
    assert len(good.token_ids) == 10
    assert isinstance(bad, BadRequest)


@pytest.mark.parametrize("error", [RuntimeError, OverflowError, MemoryError])
@awaited
async def test_a_failing_step_reaches_every_caller_and_the_engine_goes_on(service, monkeypatch, error):
    original = service._engine._decode

    def fail():
        monkeypatch.setattr(service._engine, "_decode", original)
        raise error("too much")

    monkeypatch.setattr(service._engine, "_decode", fail)
    with pytest.raises(error, match="too much"):
        await service.generate(request("a"))
    assert len((await service.generate(request("b"))).token_ids) == 10


@awaited
async def test_an_abort_that_fails_reaches_every_caller(service, monkeypatch):
    """It moves the others together, for which there may be no memory: nothing of them can be trusted any longer."""
    other = await begun(service.generate(request("a", tokens=4000)))
    while (await service.stats())["running"] == 0:
        await asyncio.sleep(0.01)
    compact = service._engine._compact

    def fail():
        monkeypatch.setattr(service._engine, "_compact", compact)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(service._engine, "_compact", fail)
    assert await service.abort("nobody's") == 1
    with pytest.raises(RuntimeError, match="out of memory"):
        await other
    assert len((await service.generate(request("b"))).token_ids) == 10


@awaited
async def test_after_a_prompt_too_long_for_the_memory_others_are_served(service, monkeypatch):
    fitted = SlotCache._fitted

    def limited(stored, like, shape):
        if prod(shape) > 100_000:
            raise RuntimeError("out of memory")
        return fitted(stored, like, shape)

    monkeypatch.setattr(SlotCache, "_fitted", staticmethod(limited))
    # 16 slots of 2 heads, 8 numbers and 1,008 tokens are 258,048 numbers; of 64 tokens they are 16,384.
    with pytest.raises(RuntimeError, match="out of memory"):
        await service.generate(request("a", prompt=(1,) * 1000))
    assert len((await service.generate(request("b"))).token_ids) == 10


@awaited
async def test_a_thread_that_dies_leaves_nobody_waiting(service, monkeypatch):
    stepping, go_on = threading.Event(), threading.Event()

    def fail():
        stepping.set()
        assert go_on.wait(30)
        raise RuntimeError("device lost")

    monkeypatch.setattr(service._engine, "step", fail)
    monkeypatch.setattr(service._engine, "abort", fail)
    running = await begun(service.generate(request("a")))
    while not stepping.is_set():
        await asyncio.sleep(0.01)
    posted, another = await begun(service.stats()), await begun(service.generate(request("b")))
    go_on.set()
    with pytest.raises(RuntimeError, match="device lost"):
        await running
    for call in (posted, another, service.generate(request("c")), service.sleep()):
        with pytest.raises(RuntimeError, match="closed"):
            await call


@awaited
async def test_a_call_that_is_cancelled_before_it_begins_is_not_made(service):
    async with busy(service):
        calls = [await begun(call) for call in (service.sleep(), service.load_weights({}))]
        calls += [await begun(service.generate(each)) for each in (request("a"), request("bad", prompt=(99,)))]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert (await service.stats())["waiting"] == 0
    assert len((await service.generate(request("b"))).token_ids) == 10


@awaited
async def test_sleep_frees_the_cache_and_holds_requests_until_wake(service):
    await service.generate(request("a"))
    await service.sleep()
    assert (await service.stats())["cache_bytes"] == 0
    held = await held_back(service, "b")
    await service.wake()
    assert len((await held).token_ids) == 10


@awaited
async def test_a_request_that_arrives_just_before_a_sleep_waits_for_the_next_weights(service, model, monkeypatch):
    """The engine is gathering requests, and falls asleep meanwhile."""
    monkeypatch.setattr(service_module, "GATHER_SECONDS", 0.5)
    held = await begun(service.generate(request("a")))
    await service.sleep()
    await service.load_weights(turned(model), version=2)
    counts = await service.stats()
    assert (counts["waiting"], counts["prefills"], counts["cache_bytes"]) == (1, 0, 0)
    await service.wake()
    assert (await held).weights_version == 2


@awaited
async def test_a_request_held_over_an_update_is_of_the_new_weights(service, model):
    old = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    await service.load_weights(old, version=1)
    await service.pause()
    held = await held_back(service, "a")
    await service.load_weights(turned(model), version=2)
    await service.resume()
    found = await held
    assert found.weights_version == 2
    assert found == await service.generate(request("a"))


@awaited
async def test_pause_answers_running_requests_and_holds_new_ones(service):
    running = asyncio.create_task(service.generate(request("a", tokens=4000)))
    while (await service.stats())["generated_tokens"] < 3:
        await asyncio.sleep(0.01)
    assert await service.pause() == 1
    partial = await running
    assert partial.stop_reason == "aborted" and 3 <= len(partial.token_ids) < 4000
    held = await held_back(service, "b")
    await service.resume()
    assert (await held).stop_reason == "length"
    await service.pause(reject=True)
    assert (await service.generate(request("c"))).stop_reason == "aborted"


@awaited
async def test_a_cancelled_caller_frees_its_slot(service):
    task = asyncio.create_task(service.generate(request("a", tokens=4000)))
    while (await service.stats())["running"] == 0:
        await asyncio.sleep(0.01)
    task.cancel()
    while (await service.stats())["running"]:
        await asyncio.sleep(0.01)
    assert (await service.stats())["aborted"] == 1


@awaited
async def test_weights_change_between_requests(service, model):
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = await service.generate(request("a"))
    await service.load_weights({name: tensor.flip(0) for name, tensor in weights.items()}, version=7)
    after = await service.generate(request("b"))
    assert after.weights_version == 7
    assert before.log_probs != after.log_probs
    with pytest.raises(ValueError, match="missing"):
        await service.load_weights({"lm_head.weight": torch.zeros(64, 32)})


@awaited
async def test_closed(service):
    service.close()
    with pytest.raises(RuntimeError, match="closed"):
        await service.generate(request("a"))
