import asyncio
from functools import wraps

import pytest
import torch

from verl_dots.rollout.engine import Engine
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


@awaited
async def test_a_failing_step_reaches_every_caller_and_the_engine_goes_on(service, monkeypatch):
    original = service._engine._decode

    def fail():
        monkeypatch.setattr(service._engine, "_decode", original)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(service._engine, "_decode", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        await service.generate(request("a"))
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
