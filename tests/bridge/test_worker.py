"""The agent loop worker against verl's own: the same rows for fewer calls."""

import pytest

from tests.bridge.workers import Server, ServerOfMany, Workers, config_of
from verl_dots.bridge import agent_loop

pytestmark = pytest.mark.usefixtures("cpu_environment")

QUESTIONS = {"one": "1", "two": "2", "none": "9"}


@pytest.fixture
def rolled_out(tmp_path, monkeypatch):
    """Rolls out QUESTIONS, 4 times each."""

    def run(own: bool, *servers: Server, source: str = "arithmetic", config: dict | None = None, **fields) -> Workers:
        workers = Workers(config_of(tmp_path, **(config or {})), own, list(servers) or [ServerOfMany()], monkeypatch)
        workers.roll_out(QUESTIONS, source, **fields)
        return workers

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


def test_a_prompt_may_have_a_partition_a_temperature_and_numbers_of_its_own(rolled_out):
    fields = {agent_loop.PARTITION: "reference", agent_loop.TEMPERATURE: 0.5, agent_loop.FIRST_ROLLOUT: 100}
    own = rolled_out(True, **fields)
    assert len(own.rows("reference")) == 12 and own.rows() == {} and own.tags() == {}
    asked = [request["sampling_params"] for request in own.servers[0].asked]
    assert {params["temperature"] for params in asked} == {0.5}
    assert [params["rollout_index"] for params in asked] == [100, 101, 102, 103] * 3
    assert not set(fields) & set(own.rows("reference")["u0 answer 0"])
