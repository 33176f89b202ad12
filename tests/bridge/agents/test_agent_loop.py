"""The agent loop worker: against verl's own the same rows for fewer calls, and what reaches a rollout server."""

import copy
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from ray.exceptions import ActorDiedError
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils import tensordict_utils as tu

from tests.bridge import workers
from tests.bridge.workers import SO, AsyncQueue, Method, Server, ServerOfMany, Workers, config_of
from verl_dots.bridge.agents.agent_loop import (
    FIRST_ROLLOUT,
    FIRST_SESSION,
    PARTITION,
    REPEATED,
    TEMPERATURE,
    SeededAgentLoopManager,
    number_repeats,
    prompt_text,
)
from verl_dots.bridge.agents.carried_prompts import unpacked
from verl_dots.bridge.agents.failures import Failure
from verl_dots.bridge.agents.seeds import DistinctRequests

pytestmark = pytest.mark.usefixtures("cpu_environment")

QUESTIONS = {"one": "1", "two": "2", "none": "9"}


@pytest.fixture
def rolled_out(tmp_path, monkeypatch):
    """Rolls out QUESTIONS, 4 times each."""

    def run(own: bool, *servers: Server, source: str = "arithmetic", config: dict | None = None, **fields) -> Workers:
        made = Workers(config_of(tmp_path, **(config or {})), own, list(servers) or [ServerOfMany()], monkeypatch)
        made.roll_out(QUESTIONS, source, **fields)
        return made

    return run


def test_rows_and_tags_are_those_of_verls_worker(rolled_out):
    verl, own = rolled_out(False), rolled_out(True)
    assert own.rows() == verl.rows()
    assert own.tags().keys() == verl.tags().keys()
    keys = {f"u{question}_{session}_0" for question in range(3) for session in range(4)}
    assert own.tags().keys() == keys | {"u0", "u1", "u2"}
    assert {own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {"finished"}
    rewards = {name: sum(row["rm_scores"]) for name, row in own.rows().items()}
    assert {name for name, reward in rewards.items() if reward} == {"u0 answer 1", "u1 answer 2"}
    assert own.rows()["u0 answer 1"]["extra_fields"]["reward_extra_info"] == {"score": 1.0, "acc": 1.0}


def test_one_call_takes_all_requests_to_a_server_and_all_rows_to_the_queue(rolled_out):
    verl, own = rolled_out(False), rolled_out(True)
    assert (verl.servers[0].calls, verl.rewards.calls) == (12, 12)
    assert (own.servers[0].calls, own.rewards.calls) == (1, 0)
    assert verl.queue.calls == 3 + 12 + 3  # running, rows, finished
    assert own.queue.calls <= 2 * 3  # the rows and statuses of each group at most
    assert own.balancer.calls <= 5  # its fields, the servers, one acquired and released


def test_requests_are_shared_out_evenly_and_groups_stay_together(rolled_out):
    servers = [ServerOfMany(), ServerOfMany(), ServerOfMany()]
    rolled_out(True, *servers)
    assert [server.calls for server in servers] == [1, 1, 1]
    prompts = [{tuple(request["prompt_ids"]) for request in server.asked} for server in servers]
    assert [len(of_server) for of_server in prompts] == [1, 1, 1] and len(set.union(*prompts)) == 3


def test_a_server_that_takes_one_request_at_a_time_is_asked_so(rolled_out):
    own = rolled_out(True, Server())
    assert own.servers[0].calls == 12
    assert own.rows() == rolled_out(False).rows()


def test_with_full_determinism_the_load_balancer_routes_every_request(rolled_out):
    config = {"rollout.full_determinism": True}
    own = rolled_out(True, ServerOfMany(), config=config)
    assert own.servers[0].calls == 12 and len({request["request_id"] for request in own.servers[0].asked}) == 12


def test_a_reward_that_needs_processes_is_computed_by_verls_workers(rolled_out):
    own = rolled_out(True, source="math")
    assert own.rewards.calls == 12
    assert own.rows() == rolled_out(False, source="math").rows()


def test_a_group_of_which_a_request_fails_is_marked_and_keeps_what_arrived(rolled_out):
    verl, own = (rolled_out(side, ServerOfMany(fails=2)) for side in (False, True))
    assert {own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {"failure"}
    assert own.rows() == verl.rows() and len(own.rows()) == 9
    told = own.tags("failures")
    assert [told[name]["cause"] for name in ("u0_2", "u1_2", "u2_2")] == ["OverflowError: too long"] * 3


class Dead:
    """A reward worker that is gone: its function has ended its process, and Ray says so to whoever asks."""

    calls = 0

    def __init__(self, config):
        self.compute_score = Method(self._asked, self)

    async def _asked(self, data):
        raise ActorDiedError()


def test_a_reward_that_ends_its_process_fails_each_rollout_that_asks_for_it(rolled_out, monkeypatch):
    """At once, and with the cause by which the run ends: none waits for `dots.reward_seconds`."""
    monkeypatch.setattr(workers, "RewardWorker", Dead)
    own = rolled_out(True, source="math")
    assert {own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {"failure"} and own.rows() == {}
    causes = [tag["cause"] for tag in own.tags("failures").values()]
    assert len(causes) == 12 and all(Failure("", cause).died for cause in causes)


class Silent(ServerOfMany):
    """Answers a prompt's second request with nothing."""

    async def generate(self, **request):
        output = await super().generate(**request)
        return output.model_copy(update={"token_ids": [], "log_probs": []}) if SO in output.token_ids[:1] else output


def test_a_response_without_tokens_fails_and_one_that_is_too_long_is_cut(rolled_out):
    own = rolled_out(True, Silent())
    assert {own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {"failure"}
    assert {tag["cause"] for tag in own.tags("failures").values()} == {"EngineError: the engine returned no token"}
    cut = rolled_out(True, config={"rollout.response_length": 3})
    assert {len(row["responses"]) for row in cut.rows().values()} == {3}
    assert {len(row["rollout_log_probs"]) for row in cut.rows().values()} == {3}


class WithoutLogProbs(ServerOfMany):
    """Answers a prompt's second request without log-probs; the others with them where they are asked for."""

    async def generate(self, **request):
        output = await super().generate(**request)
        left_out = SO in output.token_ids[:1] or not request["sampling_params"]["logprobs"]
        return output.model_copy(update={"log_probs": None}) if left_out else output


def test_a_response_without_log_probs_fails_where_they_are_asked_for(rolled_out):
    own = rolled_out(True, WithoutLogProbs(), config={"rollout.calculate_log_probs": True})
    assert {own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {"failure"}
    assert all("rollout_log_probs" in row for row in own.rows().values())
    causes = {tag["cause"] for tag in own.tags("failures").values()}
    assert {cause.partition(" tokens ")[2] for cause in causes} == {
        "and no log-probs, which actor_rollout_ref.rollout.calculate_log_probs=True asks for"
    }
    own = rolled_out(True, WithoutLogProbs(), config={"rollout.calculate_log_probs": False})
    assert {own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {"finished"}
    assert not any("rollout_log_probs" in row for row in own.rows().values())


def test_a_group_whose_rows_are_refused_fails_alone(rolled_out, monkeypatch):
    put = AsyncQueue.async_kv_batch_put

    async def refuse_one(self, *, keys, **more):
        if "u1_0_0" in keys:
            raise RuntimeError("no room")
        await put(self, keys=keys, **more)

    monkeypatch.setattr(AsyncQueue, "async_kv_batch_put", refuse_one)
    own = rolled_out(True)
    assert {uid: own.tags()[uid]["status"] for uid in ("u0", "u1", "u2")} == {
        "u0": "finished", "u1": "failure", "u2": "finished",
    }  # fmt: skip
    assert len(own.rows()) == 8 and own.tags("failures")["u1_0"]["cause"] == "RuntimeError: no room"


def test_a_prompt_may_have_a_partition_a_temperature_and_numbers_of_its_own(rolled_out):
    fields = {PARTITION: "reference", TEMPERATURE: 0.5, FIRST_ROLLOUT: 100}
    own = rolled_out(True, **fields)
    assert len(own.rows("reference")) == 12 and own.rows() == {} and own.tags() == {}
    asked = [request["sampling_params"] for request in own.servers[0].asked]
    assert {params["temperature"] for params in asked} == {0.5}
    assert [params["rollout_index"] for params in asked] == [100, 101, 102, 103] * 3
    assert not set(fields) & set(own.rows("reference")["u0 answer 0"])


def test_further_rollouts_of_a_begun_group_are_those_that_it_would_have_had(rolled_out):
    rest = rolled_out(True, **{FIRST_ROLLOUT: 100, FIRST_SESSION: 4})
    keys = {f"u{question}_{session}_0" for question in range(3) for session in range(4, 8)}
    assert rest.tags().keys() == keys | {"u0", "u1", "u2"}
    indexes = [request["sampling_params"]["rollout_index"] for request in rest.servers[0].asked]
    assert indexes == [104, 105, 106, 107] * 3
    row = rest.queue.fields["train"]["u0_4_0"]
    assert FIRST_SESSION not in row and row["session_id"] == 4


class Asked:
    """A worker's handle that keeps what it is given."""

    def __init__(self):
        self.batches = []
        self.generate_sequences = SimpleNamespace(remote=self._taken)
        self.all_written = SimpleNamespace(remote=lambda: "written")

    def _taken(self, batch):
        """As verl's worker takes a batch apart."""
        prompts = []
        for place in range(len(batch)):
            fields = batch.items()
            row = {name: of[place] if isinstance(of, torch.Tensor) else of.data for name, of in fields}
            prompts.append(unpacked(row))
        assert all(set(prompt) == {"uid", "dummy_tensor"} and len(prompt["dummy_tensor"]) == 1 for prompt in prompts)
        self.batches.append([prompt["uid"] for prompt in prompts])


@pytest.mark.parametrize(("count", "sizes"), [(3, [2, 1]), (128, [64, 64]), (130, [33, 32, 33, 32]), (300, [50] * 6)])
@pytest.mark.parametrize("read_back", [False, True])
def test_workers_get_prompts_in_parts_and_in_order(monkeypatch, count, sizes, read_back):
    columns = {"uid": np.array([f"u{number}" for number in range(count)], dtype=object)}
    batch = tu.get_tensordict(columns | {"dummy_tensor": torch.zeros(count, 1, dtype=torch.uint8)})
    if read_back:  # from the queue, after a resume: what was one tensor is nested
        batch["dummy_tensor"] = torch.nested.as_nested_tensor([torch.zeros(1)] * count, layout=torch.jagged)
    monkeypatch.setattr(agent_loop_tq.ray, "get", list)
    manager = object.__new__(SeededAgentLoopManager)
    manager.agent_loop_workers, manager.temperature = [Asked(), Asked()], None
    manager.generate_sequences(batch)
    parts = [
        part for each in zip(*(worker.batches for worker in manager.agent_loop_workers), strict=True) for part in each
    ]
    assert [len(part) for part in parts] == sizes and sum(parts, []) == list(columns["uid"])
    assert manager._unwritten == ["written"] * 2


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


def test_an_image_is_told_by_its_content():
    def asked(*images):
        return prompt_text([{"role": "user", "content": [{"type": "image", "image": image} for image in images]}])

    black, again, white = (Image.new("RGB", (2, 2), color) for color in ("black", "black", "white"))
    assert asked(black) == asked(again) != asked(white)
    assert asked(b"\x00") == asked(b"\x00") != asked(b"\x01")
    assert " at 0x" not in asked(black, b"\x00")
    two = [Image.new("P", (2, 2), 0) for _ in range(2)]
    two[0].putpalette([255, 0, 0]), two[1].putpalette([0, 0, 255])
    assert asked(two[0]) != asked(two[1])
    assert asked(np.zeros(4)) != asked(np.zeros((2, 2))) != asked(np.zeros((2, 2), np.int64))
    large = torch.zeros(4000, dtype=torch.bfloat16)
    (other := large.clone())[2000] = 1
    assert asked(large) == asked(large.clone()) != asked(other)
    assert asked(torch.zeros(2)) != asked(torch.zeros(1, 2)) and asked(torch.tensor(True)) == asked(torch.tensor(True))
    # Content of a data frame is an array of objects, whose bytes are addresses.
    parts = [np.array([{"type": "text", "text": "1 + 1"}], dtype=object) for _ in range(2)]
    assert prompt_text([{"content": parts[0]}]) == prompt_text([{"content": parts[1]}])


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


def test_an_agent_loop_that_hydra_makes_shares_the_client():
    client = DistinctRequests(object(), lambda: "u0_1")
    assert copy.deepcopy(client) is client
