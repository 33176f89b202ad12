"""What reaches a rollout server: each request's own random numbers, through the worker of the agent loop."""

import asyncio
import copy
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from verl.utils import tensordict_utils as tu

from verl_dots.bridge import agent_loop
from verl_dots.bridge.agent_loop import FIRST_ROLLOUT, REPEATED, SeededAgentLoopWorker, number_repeats
from verl_dots.bridge.seeds import DistinctRequests

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": -1}
VERLS_WORKER = SeededAgentLoopWorker.__base__


def prompts(*questions):
    column = np.empty(len(questions), dtype=object)
    column[:] = [[{"role": "user", "content": question}] for question in questions]
    return tu.get_tensordict({"raw_prompt": column})


def test_different_prompts_are_left_as_they_are():
    batch = prompts("1 + 1", "1 + 2")
    number_repeats(batch, Counter())
    assert FIRST_ROLLOUT not in batch


def test_a_prompt_that_comes_again_in_a_step_has_rollouts_of_its_own_numbers():
    seen = Counter()
    first, second = prompts("1 + 1", "1 + 2", "1 + 1"), prompts("1 + 3", "1 + 1")
    number_repeats(first, seen)
    number_repeats(second, seen)
    assert list(first[FIRST_ROLLOUT]) == [0, 0, REPEATED]
    assert list(second[FIRST_ROLLOUT]) == [0, 2 * REPEATED]


class Worker(SeededAgentLoopWorker):
    """The worker over a server that remembers what it was asked; of verl's own the agent loop alone is used."""

    def __init__(self, engine: str, full_determinism: bool):
        self.rollout_config = SimpleNamespace(name=engine, full_determinism=full_determinism, seed=7)
        self.llm_client = DistinctRequests(self, agent_loop._session.get)
        self.asked = []

    async def generate(self, request_id, *, prompt_ids, sampling_params):
        self.asked.append((request_id, sampling_params))


@pytest.fixture
def ask(monkeypatch):
    """Requests of a step as `{(prompt, session): (request id, sampling parameters)}`, through the real worker."""

    async def single_turn(self, sampling_params, trajectory, **kwargs):
        # As verl's: one name for all, and a copy of the client that hydra has made.
        client = copy.deepcopy(self.llm_client)
        await client.generate(request_id="det-0", prompt_ids=[1], sampling_params=sampling_params)

    monkeypatch.setattr(VERLS_WORKER, "_run_agent_loop", single_turn)

    async def sessions(worker, trajectory, prompts, first):
        for number, text in enumerate(prompts):
            agent_loop._first_rollout.set(first)
            prompt = {"uid": f"uid{number}", "raw_prompt": [{"role": "user", "content": text}]}
            for session in range(4):
                loop = worker._run_agent_loop(dict(SAMPLING), trajectory, **prompt, session_id=session)
                await asyncio.create_task(loop)
        return dict(zip([(text, session) for text in prompts for session in range(4)], worker.asked, strict=True))

    def asked(engine, full_determinism=True, *, step=3, validate=False, prompts=("a", "b"), first=0):
        trajectory = {"step": step, "validate": validate}
        return asyncio.run(sessions(Worker(engine, full_determinism), trajectory, prompts, first))

    return asked


@pytest.mark.parametrize(("engine", "name"), [("vllm", "seed"), ("sglang", "sampling_seed")])
def test_every_rollout_of_a_step_has_a_seed_of_its_own(ask, engine, name):
    asked = ask(engine)
    seeds = [params[name] for _, params in asked.values()]
    assert len(set(seeds)) == 8 and all(0 <= seed < 2**31 for seed in seeds)
    # The same the next time, in whatever order they are sent; others in the next step and for another group.
    again = ask(engine, prompts=("b", "a"))
    assert {key: again[key][1] for key in again} == {key: asked[key][1] for key in asked}
    for other in ({"step": 4}, {"first": 10_000}, {"validate": True}):
        assert not set(seeds) & {params[name] for _, params in ask(engine, **other).values()}
    # No two requests share a name, by which verl's balancer chooses the server.
    assert len({request for request, _ in asked.values()}) == 8


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_without_full_determinism_the_engine_draws(ask, engine):
    assert all(params == SAMPLING for _, params in ask(engine, full_determinism=False).values())


@pytest.mark.parametrize("full_determinism", [True, False])
def test_the_engine_of_this_project_is_told_the_rollout(ask, full_determinism):
    asked = ask("hf", full_determinism, first=10_000)
    assert [params["rollout_index"] for _, params in asked.values()] == [10_000, 10_001, 10_002, 10_003] * 2
    assert not any("seed" in params for _, params in asked.values())


def test_a_session_that_fails_tells_its_cause(monkeypatch):
    told = []

    async def tell(uid, session, error):
        told.append((uid, session, repr(error)))

    async def broken(self, *args, **kwargs):
        raise OverflowError("too long")

    monkeypatch.setattr(VERLS_WORKER, "_run_agent_loop", broken)
    monkeypatch.setattr(agent_loop, "tell_failure", tell)
    trajectory, prompt = {"step": 1, "validate": False}, {"uid": "u", "session_id": 2, "raw_prompt": [{}]}
    loop = Worker("hf", False)._run_agent_loop({}, trajectory, **prompt)
    with pytest.raises(OverflowError):
        asyncio.run(loop)
    assert told == [("u", 2, "OverflowError('too long')")]
