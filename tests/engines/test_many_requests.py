"""Many requests in one call of a server, without Ray's processes."""

import asyncio

import ray

from verl_dots.engines.many_requests import ServesMany, serving_many


class Server:
    """Answers in the order of the delays that it is asked for, with twice the number; an odd one fails."""

    def __init__(self, scale: int = 2):
        self.scale = scale

    async def generate(self, number: int, delay: float) -> int:
        await asyncio.sleep(delay)
        if number % 2:
            raise ValueError(f"{number} is odd")
        return self.scale * number


class Replica:
    """As verl's replicas of vLLM and SGLang keep the class of their servers."""

    def __init__(self, rank: int):
        self.rank, self.server_class = rank, ray.remote(Server)


def answers(requests: list[dict]) -> list[list[tuple[int, object]]]:
    class Many(ServesMany, Server):
        pass

    async def collect() -> list:
        return [batch async for batch in Many().generate_many(requests)]

    return asyncio.run(collect())


def test_answers_come_as_they_end_with_the_number_of_their_request():
    batches = answers([{"number": 4, "delay": 0.2}, {"number": 2, "delay": 0.0}, {"number": 8, "delay": 0.0}])
    assert batches == [[(1, 4), (2, 16)], [(0, 8)]]


def test_a_request_that_fails_is_answered_with_its_error_and_fails_no_other():
    ((first, error), (second, answer)) = [
        pair for batch in answers([{"number": 3, "delay": 0.0}, {"number": 4, "delay": 0.01}]) for pair in batch
    ]
    assert (first, repr(error)) == (0, "ValueError('3 is odd')")
    assert (second, answer) == (1, 8)


def test_no_request_has_no_answer():
    assert answers([]) == []


def test_servers_of_a_replica_take_many_requests_and_keep_the_rest():
    replica = serving_many(Replica)(rank=3)
    server = replica.server_class.__ray_metadata__.modified_class
    assert replica.rank == 3 and issubclass(server, Server) and issubclass(server, ServesMany)
    assert server.__name__ == "Server" and server(scale=5).scale == 5


def test_engines_of_verl_are_loaded_so(monkeypatch, cpu_environment):
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    from verl_dots.engines import plugin

    loaded = plugin._serving_many("sglang", lambda: Replica)()
    assert issubclass(loaded, Replica) and loaded.__name__ == "Replica"
    for name in ("vllm", "sglang"):
        assert RolloutReplicaRegistry._registry[name].__name__ == "load_serving_many"


def test_errors_that_cannot_travel_and_cancelled_requests_are_told_in_words():
    class Untold(Exception):
        def __init__(self, first, second):
            super().__init__(f"{first} and {second}")

    class Many(ServesMany):
        async def generate(self, kind):
            if kind == "cancelled":
                raise asyncio.CancelledError
            raise Untold(1, 2)

    async def collect() -> dict:
        requests = [{"kind": "cancelled"}, {"kind": "untold"}]
        return dict([pair async for batch in Many().generate_many(requests) for pair in batch])

    found = asyncio.run(collect())
    assert [str(found[place]) for place in (0, 1)] == ["the request was cancelled", "Untold: 1 and 2"]
