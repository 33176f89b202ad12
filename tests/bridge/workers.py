"""verl's agent loop worker and this project's over it, in this process: what they ask of Ray is answered here."""

import asyncio
import copy
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from data_prep.byte_tokenizer import build_tokenizer
from tests.methods.memory import MemoryQueue
from verl_dots.engines.many_requests import ServesMany

MARK = "#### "
SO = build_tokenizer().convert_tokens_to_ids("s")


class AsyncQueue(MemoryQueue):
    """The queue in memory as agent loops know it, and how often it was called."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def init(self) -> None:
        """Nothing to connect to."""

    async def async_kv_put(self, key, partition_id, tag) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        await super().async_kv_put(key, partition_id, tag)

    async def async_kv_batch_put(self, *, keys, partition_id, fields=None, tags=None) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        self.kv_batch_put(keys, partition_id, fields, tags)


class Server:
    """Answers each request for a prompt with another number, the first one with 0; and fails where it is told to."""

    def __init__(self, fails: int | None = None):
        self.tokenizer = build_tokenizer()
        self.asked: list[dict[str, Any]] = []
        self.calls = 0
        self.fails = fails
        self._numbers: Counter[tuple] = Counter()

    async def generate(self, *, request_id, prompt_ids, sampling_params, **more) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        self.asked.append({"request_id": request_id, "prompt_ids": prompt_ids, "sampling_params": sampling_params})
        number = self._numbers[tuple(prompt_ids)]
        self._numbers[tuple(prompt_ids)] += 1
        await asyncio.sleep(0.001 * number)
        if number == self.fails:
            raise OverflowError("too long")
        ids = self.tokenizer.encode("so " * number + MARK + str(number), add_special_tokens=False)
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), extra_fields={"global_steps": 3})


class ServerOfMany(Server, ServesMany):
    """The same, for many requests in a call."""


class Method:
    """A method of an actor's handle. An async generator gives awaitables, as a streaming one of Ray's."""

    def __init__(self, function: Any, counted: Any = None):
        self._function, self._counted = function, counted

    def options(self, **_: Any) -> "Method":
        return Method(self._streaming, self._counted)

    async def _streaming(self, *args: Any) -> Any:
        async for value in self._function(*args):
            ready = asyncio.get_running_loop().create_future()
            ready.set_result(value)
            yield ready

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        if self._counted is not None:
            self._counted.calls += 1
        result = self._function(*args, **kwargs)
        return asyncio.ensure_future(result) if asyncio.iscoroutine(result) else result


def handle(server: Server) -> Any:
    """What Ray's handle of a server has."""
    names = ("generate", "generate_many") if isinstance(server, ServesMany) else ("generate",)
    return SimpleNamespace(**{name: Method(getattr(server, name), server) for name in names})


class Balancer:
    """verl's load balancer behind a handle."""

    def __init__(self, servers: dict[str, Server]):
        from verl.workers.rollout.router import GlobalRequestLoadBalancer

        self.inner = GlobalRequestLoadBalancer({name: handle(server) for name, server in servers.items()})
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.inner, name)(*args, **kwargs)

        return Method(call, self)


class RewardWorker:
    """verl's reward worker with its naive manager and this project's reward, behind a handle."""

    def __init__(self, config: Any):
        from verl.experimental.reward_loop.reward_loop import RewardLoopWorker

        self._inner, self.calls = RewardLoopWorker(config), 0
        # verl changes what it scores; through Ray this is a copy.
        self.compute_score = Method(lambda data: self._inner.compute_score(copy.deepcopy(data)), self)


@cache
def _composed() -> Any:
    from verl_dots.launch.compose import compose

    return compose(["device=cpu"])


def config_of(folder: Path, **overrides: Any) -> Any:
    """A config for a model of which only the tokenizer and the config are there.

    Args:
        folder: for the model.
        overrides: of actor_rollout_ref.
    """
    from omegaconf import OmegaConf
    from transformers import Qwen2Config

    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(folder)
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    Qwen2Config(vocab_size=len(tokenizer), architectures=["Qwen2ForCausalLM"], **size).save_pretrained(folder)
    config = _composed().copy()
    for key, value in {"model.path": str(folder), "rollout.n": 4, **overrides}.items():
        OmegaConf.update(config, f"actor_rollout_ref.{key}", value, force_add=True)
    OmegaConf.resolve(config)
    return config


class Workers:
    """A worker of verl or of this project, its queue, servers and reward worker.

    Args:
        config: of `config_of`.
        own: this project's.
        servers: that answer.
    """

    def __init__(self, config: Any, own: bool, servers: list[Server], monkeypatch: Any):
        from verl.trainer.ppo.v1 import agent_loop_tq
        from verl.utils.tensordict_utils import list_of_dict_to_tensordict
        from verl.workers.rollout.llm_server import LLMServerClient

        from verl_dots.bridge.agents import agent_loop, failures

        kind = (
            agent_loop.SeededAgentLoopWorker if own else agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class
        )
        self.own, self.queue, self.servers = own, AsyncQueue(), servers
        monkeypatch.setattr(agent_loop_tq, "tq", self.queue)
        monkeypatch.setattr(agent_loop_tq, "list_of_dict_to_tensordict", list_of_dict_to_tensordict)
        monkeypatch.setattr(failures, "tq", self.queue)
        self.balancer = Balancer({f"server{number}": server for number, server in enumerate(servers)})
        self._rewards = lambda: RewardWorker(config)  # it keeps the event loop that it is made in
        self._worker = lambda: kind(config, LLMServerClient(config, self.balancer), None, [self.rewards])

    def roll_out(
        self,
        questions: dict[str, str],
        source: str = "arithmetic",
        step: int = 3,
        validate: bool = False,
        **fields: Any,
    ) -> None:
        """Roll out questions, given with their answers, until nothing runs any more; uids are u0, u1, ..."""
        from verl.utils import tensordict_utils as tu

        from verl_dots.bridge.agents.carried_prompts import CarriedPrompts

        columns = {
            "raw_prompt": [[{"role": "user", "content": question}] for question in questions],
            "reward_model": [{"ground_truth": answer, "style": "rule"} for answer in questions.values()],
            "data_source": [source] * len(questions),
            "extra_info": [{} for _ in questions],
            "index": list(range(len(questions))),
            "uid": [f"u{number}" for number in range(len(questions))],
            **{name: [value] * len(questions) for name, value in fields.items()},
        }
        batch = tu.get_tensordict({name: _objects(values) for name, values in columns.items()})
        tu.assign_non_tensor_data(batch, "global_steps", step)
        if validate:
            tu.assign_non_tensor_data(batch, "validate", True)

        async def run() -> None:
            self.rewards = self._rewards()
            worker = self._worker()
            await worker.generate_sequences(CarriedPrompts(batch).chunk(1)[0] if self.own else batch)
            while worker.background_tasks:
                await asyncio.gather(*worker.background_tasks)

        asyncio.run(run())

    def rows(self, partition: str = "train") -> dict[str, dict[str, Any]]:
        """Plain fields of all rows, by prompt and number of the answer; verl's sessions ask in any order."""
        rows = [
            {name: _plain(value) for name, value in fields.items() if name not in ("metrics", "session_id")}
            for fields in self.queue.fields[partition].values()
        ]
        return {f"{row['uid']} answer {row['responses'].count(SO)}": row for row in rows}

    def tags(self, partition: str = "train") -> dict[str, dict[str, Any]]:
        """Tags of rows and prompts, by key."""
        return {key: dict(tag) for key, tag in self.queue.tags[partition].items()}


def _objects(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _plain(value: Any) -> Any:
    value = value if isinstance(value, torch.Tensor) else getattr(value, "data", value)
    return value.tolist() if isinstance(value, torch.Tensor) else value
