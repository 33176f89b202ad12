import asyncio

import pytest
import torch

from verl_dots.rollout import attention
from verl_dots.rollout.engine import Engine
from verl_dots.rollout.request import BadRequest, Request, SamplingParams
from verl_dots.rollout.service import EngineService
from verl_dots.rollout.settings import EngineConfig


@pytest.fixture
def service(random_qwen2):
    random_qwen2.set_attn_implementation(attention.NAME)
    engine = Engine(random_qwen2, EngineConfig(max_model_len=4096, max_num_seqs=32, seed=5))
    made = EngineService(engine, threads=1)
    yield made
    made.close()


def request(name, tokens=10, prompt=(1, 2, 3), index=0):
    return Request(name, prompt, SamplingParams(max_tokens=tokens, ignore_eos=True, rollout_index=index))


def test_many_callers_at_once(service):
    async def scenario():
        given = [request(str(i), 1 + i % 20, index=i) for i in range(100)]
        return await asyncio.gather(*(service.generate(each) for each in given))

    done = asyncio.run(scenario())
    assert [len(completion.token_ids) for completion in done] == [1 + i % 20 for i in range(100)]


def test_a_bad_request_fails_alone(service):
    async def scenario():
        calls = [service.generate(request("good")), service.generate(request("bad", prompt=(99,)))]
        return await asyncio.gather(*calls, return_exceptions=True)

    good, bad = asyncio.run(scenario())
    assert len(good.token_ids) == 10
    assert isinstance(bad, BadRequest)


def test_a_failing_step_reaches_every_caller_and_the_engine_goes_on(service, monkeypatch):
    original = service._engine._decode

    def fail():
        monkeypatch.setattr(service._engine, "_decode", original)
        raise RuntimeError("out of memory")

    async def scenario():
        monkeypatch.setattr(service._engine, "_decode", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            await service.generate(request("a"))
        return await service.generate(request("b"))

    assert len(asyncio.run(scenario()).token_ids) == 10


def test_sleep_frees_the_cache_and_holds_requests_until_wake(service):
    async def scenario():
        await service.generate(request("a"))
        await service.sleep()
        assert (await service.stats())["cache_bytes"] == 0
        held = asyncio.create_task(service.generate(request("b")))
        await asyncio.sleep(0.05)
        assert not held.done()
        await service.wake()
        return await asyncio.wait_for(held, 30)

    assert len(asyncio.run(scenario()).token_ids) == 10


def test_pause_answers_running_requests_and_holds_new_ones(service):
    async def scenario():
        running = asyncio.create_task(service.generate(request("a", tokens=4000)))
        while (await service.stats())["generated_tokens"] < 3:
            await asyncio.sleep(0.01)
        assert await service.pause() == 1
        partial = await running
        assert partial.stop_reason == "aborted" and 3 <= len(partial.token_ids) < 4000
        held = asyncio.create_task(service.generate(request("b")))
        await asyncio.sleep(0.05)
        assert not held.done()
        await service.resume()
        assert (await asyncio.wait_for(held, 30)).stop_reason == "length"
        await service.pause(reject=True)
        assert (await service.generate(request("c"))).stop_reason == "aborted"

    asyncio.run(scenario())


def test_a_cancelled_caller_frees_its_slot(service):
    async def scenario():
        task = asyncio.create_task(service.generate(request("a", tokens=4000)))
        while (await service.stats())["running"] == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        while (await service.stats())["running"]:
            await asyncio.sleep(0.01)
        assert (await service.stats())["aborted"] == 1

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_weights_change_between_requests(service, random_qwen2):
    weights = {name: tensor.clone() for name, tensor in random_qwen2.state_dict().items()}

    async def scenario():
        before = await service.generate(request("a"))
        await service.load_weights({name: tensor.flip(0) for name, tensor in weights.items()}, version=7)
        after = await service.generate(request("b"))
        await service.load_weights(weights)
        with pytest.raises(ValueError, match="missing"):
            await service.load_weights({"lm_head.weight": torch.zeros(64, 32)})
        return before, after

    before, after = asyncio.run(scenario())
    assert after.weights_version == 7
    assert before.log_probs != after.log_probs


def test_closed(service):
    service.close()
    with pytest.raises(RuntimeError, match="closed"):
        asyncio.run(service.generate(request("a")))
