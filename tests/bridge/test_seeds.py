"""What reaches a rollout server: each request's own random numbers, through the worker of the agent loop."""

import copy

import pytest

from tests.bridge.workers import ServerOfMany, Workers, config_of
from verl_dots.bridge.agent_loop import FIRST_ROLLOUT
from verl_dots.bridge.seeds import DistinctRequests

pytestmark = pytest.mark.usefixtures("cpu_environment")

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "repetition_penalty": 1.0, "logprobs": True}


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Requests of a step as `{(prompt, session): (request id, sampling parameters)}`, through the real worker."""

    def asked(engine, full_determinism=True, *, step=3, validate=False, prompts=("a", "b"), first=0, rollouts=4):
        config = config_of(
            tmp_path,
            **{
                "rollout.n": rollouts,
                "rollout.val_kwargs.n": rollouts,
                "rollout.val_kwargs.temperature": 1.0,
                "rollout.val_kwargs.do_sample": True,
                "rollout.full_determinism": full_determinism,
                "rollout.seed": 7,
                "rollout.name": engine,
            },
        )
        server = ServerOfMany()
        workers = Workers(config, True, [server], monkeypatch)
        workers.roll_out(dict.fromkeys(prompts, "1"), step=step, validate=validate, **{FIRST_ROLLOUT: first})
        named = [(prompt, session) for prompt in prompts for session in range(rollouts)]
        return {
            name: (request["request_id"], request["sampling_params"])
            for name, request in zip(named, server.asked, strict=True)
        }

    return asked


@pytest.mark.parametrize(("engine", "name"), [("vllm", "seed"), ("sglang", "sampling_seed")])
def test_every_rollout_of_a_step_has_a_seed_of_its_own(ask, engine, name):
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
def test_without_full_determinism_the_engine_draws(ask, engine):
    assert all(params == SAMPLING for _, params in ask(engine, full_determinism=False).values())


@pytest.mark.parametrize("full_determinism", [True, False])
def test_the_engine_of_this_project_is_told_the_rollout(ask, full_determinism):
    asked = ask("hf", full_determinism, first=10_000)
    assert [params["rollout_index"] for _, params in asked.values()] == [10_000, 10_001, 10_002, 10_003] * 2
    assert not any("seed" in params for _, params in asked.values())


def test_an_agent_loop_that_hydra_makes_shares_the_client():
    client = DistinctRequests(object(), lambda: "u0_1")
    assert copy.deepcopy(client) is client
