"""What reaches a rollout server: each request's own random numbers, through the worker of the agent loop."""

import asyncio
import copy
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.usefixtures("cpu_environment")

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": -1}


class Server:
    """Answers at once, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    async def generate(self, request_id, *, prompt_ids, sampling_params, **kwargs):
        self.asked.append((request_id, sampling_params))
        return SimpleNamespace(token_ids=[1])


def worker_for(engine: str, full_determinism: bool, server: Server):
    """This project's worker over verl's, of which everything but the agent loop itself is stood in for."""
    from verl_dots.bridge import agent_loop
    from verl_dots.bridge.seeds import DistinctRequests

    class Loop(agent_loop.SeededAgentLoopWorker):
        def __init__(self):
            self.rollout_config = SimpleNamespace(name=engine, full_determinism=full_determinism, seed=7)
            self.llm_client = DistinctRequests(server, agent_loop._session.get)

    return Loop()


def ask(engine, full_determinism=True, *, step=3, validate=False, prompts=("a", "b"), first=0, rollouts=4):
    """Requests of a step as `{(prompt, session): (request id, sampling parameters)}`, through the real worker."""
    from verl.trainer.ppo.v1 import agent_loop_tq

    from verl_dots.bridge import agent_loop

    server = Server()
    worker = worker_for(engine, full_determinism, server)

    async def run_agent_loop(self, sampling_params, trajectory, *, raw_prompt, **kwargs):
        # As verl's single-turn loop: one name for all, and a copy of the client that hydra has made.
        client = copy.deepcopy(self.llm_client)
        await client.generate(request_id="det-0", prompt_ids=[1], sampling_params=sampling_params)

    base = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class
    found = {}

    async def sessions():
        for number, text in enumerate(prompts):
            agent_loop._first_rollout.set(first)
            for session in range(rollouts):
                await asyncio.create_task(
                    worker._run_agent_loop(
                        dict(SAMPLING), {"step": step, "validate": validate}, uid=f"uid{number}", session_id=session,
                        raw_prompt=[{"role": "user", "content": text}], agent_name="single_turn_agent",
                    )
                )  # fmt: skip
                found[text, session] = server.asked[-1]

    original, base._run_agent_loop = base._run_agent_loop, run_agent_loop
    try:
        asyncio.run(sessions())
    finally:
        base._run_agent_loop = original
    return found


@pytest.mark.parametrize(("engine", "name"), [("vllm", "seed"), ("sglang", "sampling_seed")])
def test_every_rollout_of_a_step_has_a_seed_of_its_own(engine, name):
    asked = ask(engine)
    seeds = [params[name] for _, params in asked.values()]
    assert len(set(seeds)) == 8 and all(0 <= seed < 2**31 for seed in seeds)
    # The same the next time, in whatever order they are sent; others in the next step and for another group.
    again = ask(engine, prompts=("b", "a"))
    assert {key: again[key][1] for key in again} == {key: asked[key][1] for key in asked}
    assert not set(seeds) & {params[name] for _, params in ask(engine, step=4).values()}
    assert not set(seeds) & {params[name] for _, params in ask(engine, first=10_000).values()}
    assert not set(seeds) & {params[name] for _, params in ask(engine, validate=True).values()}
    # No two requests share a name, by which verl's balancer chooses the server.
    assert len({request for request, _ in asked.values()}) == 8


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_without_full_determinism_the_engine_draws(engine):
    assert all(params == SAMPLING for _, params in ask(engine, full_determinism=False).values())


@pytest.mark.parametrize("full_determinism", [True, False])
def test_the_engine_of_this_project_is_told_the_rollout(full_determinism):
    asked = ask("hf", full_determinism, first=10_000)
    assert [params["rollout_index"] for _, params in asked.values()] == [10_000, 10_001, 10_002, 10_003] * 2
    assert not any("seed" in params for _, params in asked.values())


def test_a_session_that_fails_tells_its_cause(monkeypatch):
    from verl.trainer.ppo.v1 import agent_loop_tq

    from verl_dots.bridge import agent_loop

    told = []

    async def tell(uid, session, error):
        told.append((uid, session, repr(error)))

    async def broken(self, *args, **kwargs):
        raise OverflowError("too long")

    base = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class
    monkeypatch.setattr(base, "_run_agent_loop", broken)
    monkeypatch.setattr(agent_loop, "tell_failure", tell)
    worker = worker_for("hf", False, Server())
    with pytest.raises(OverflowError):
        asyncio.run(worker._run_agent_loop({}, {"step": 1, "validate": False}, uid="u", session_id=2, raw_prompt=[{}]))
    assert told == [("u", 2, "OverflowError('too long')")]
