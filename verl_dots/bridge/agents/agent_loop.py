"""verl's agent loop, with seeds, partitions and the causes of failures, at the cost of its arithmetic.

Seeds: verl starts the sessions of a prompt concurrently and its engines see them in any order. What `seeds` puts into a
request makes its random numbers its own, whatever the order.

Partitions: verl's worker writes trajectories to the TransferQueue partition "train" or "val". A prompt with the field
`PARTITION` has its own written there instead, so that reference rollouts never mix with a train batch.

Failures: verl logs what an engine or a reward raised, and marks the group. `failures` takes the cause to the trainer.
A response without tokens, a reward that is no finite number, and one that does not come in time are failures, too.

Cost: verl makes an agent loop, asks a server, a reward worker and the TransferQueue once for each rollout. Requests
(`requests`) and rows (`written_rows`) travel together here, and quick rewards are computed on the spot (`rewards`).
Rollouts of verl's single-turn loop share one loop object; loops with tools, several turns or of the user are verl's.
"""

import contextvars
import hashlib
import json
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import ray
import torch
from tensordict import TensorDict
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils import tensordict_utils as tu
from verl.utils.rollout_trace import RolloutTraceConfig

from verl_dots.bridge.agents.carried_prompts import CarriedPrompts, unpacked
from verl_dots.bridge.agents.clients import RememberedConfig
from verl_dots.bridge.agents.failures import tell_failure
from verl_dots.bridge.agents.requests import TogetherRequests
from verl_dots.bridge.agents.responses import CheckedResponses
from verl_dots.bridge.agents.rewards import QuickRewards
from verl_dots.bridge.agents.seeds import DistinctRequests, own_randomness
from verl_dots.bridge.agents.single_turn import SharedSingleTurn, is_single_turn
from verl_dots.bridge.agents.written_rows import GroupRows, RowWriter, batches_for
from verl_dots.rewards.limits import SilenceLimit, require_usable_reward

# Fields of a prompt for this worker alone; they are not stored with its trajectories.
PARTITION = "__partition__"
FIRST_ROLLOUT = "__first_rollout__"  # index of the prompt's first session: two groups of one question differ by it
FIRST_SESSION = "__first_session__"  # of a prompt of which earlier sessions are in the queue
REPEATED = 10_000  # apart from each other: more than any group has rollouts
TEMPERATURE = "__temperature__"  # of the step, where it is not the one of the workers' own config
# Prompts that a worker is given at once: the engine begins with them while others are on their way.
PROMPTS_TOGETHER = 64


@dataclass
class _Group:
    """The group at hand: each prompt is a task with a context of its own, which the tasks of its sessions inherit."""

    partition: str | None
    temperature: float | None
    first_rollout: int
    first_session: int = 0
    rows: GroupRows = field(default_factory=GroupRows)


_group: contextvars.ContextVar[_Group] = contextvars.ContextVar("group")
_prompt: contextvars.ContextVar[str] = contextvars.ContextVar("prompt")  # its text
_session: contextvars.ContextVar[str] = contextvars.ContextVar("session", default="")
_one_turn: contextvars.ContextVar[bool] = contextvars.ContextVar("one_turn", default=False)


class _GroupQueue:
    """verl's TransferQueue client: rows of the group at hand are kept until its status says that it has ended."""

    def __init__(self, queue: Any, writer: RowWriter):
        self._queue, self.writer = queue, writer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def async_kv_put(self, *, key: str, partition_id: str, tag: dict[str, Any]) -> None:
        if tag == {"status": "running"}:
            return  # a prompt that is pending counts the same
        group = _group.get()
        rows, group.rows = group.rows, GroupRows()  # verl puts "failure" once more where this raises, without rows
        try:
            await self.writer.write(key, group.partition or partition_id, rows, tag)
        except Exception as error:
            await tell_failure(key, 0, error)
            raise

    async def async_kv_batch_put(self, *, keys: list, fields: list[dict], tags: list[dict], partition_id: str) -> None:
        _group.get().rows.add(keys, fields, tags)


def prompt_text(messages: Any) -> str:
    """A prompt's messages as one text, the same for equal prompts; an image is told by its content."""
    return json.dumps(list(messages), sort_keys=True, default=_content)


def _content(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == object:  # whose bytes are addresses
        return value.tolist()
    kind = [str(getattr(value, name)) for name in ("dtype", "shape") if hasattr(value, name)]
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().flatten().view(torch.uint8).numpy()
    if callable(palette := getattr(value, "getpalette", None)):  # an image of PIL
        kind += [value.mode, str(value.size), str(palette())]
    if callable(content := getattr(value, "tobytes", None)):
        value = content()
    return [*kind, hashlib.sha256(value).hexdigest()] if isinstance(value, bytes) else str(value)


def number_repeats(prompts: TensorDict, seen: Counter[str], step: int = 0) -> None:
    """Give groups of a prompt that came before other random numbers: two groups of a step are never copies.

    Args:
        prompts: a batch to roll out; where a prompt repeats an earlier one, its rows get FIRST_ROLLOUT.
        seen: prompts of the step so far, counted; this batch's are added.
        step: at hand, where groups of several steps are sampled with the same weights; they are no copies either.
    """
    first = []
    for messages in prompts["raw_prompt"]:
        text = prompt_text(messages)
        first.append((step * REPEATED + seen[text]) * REPEATED)
        seen[text] += 1
    if any(first):
        prompts[FIRST_ROLLOUT] = tu.get_tensordict({FIRST_ROLLOUT: np.array(first, dtype=object)})[FIRST_ROLLOUT]


class SeededAgentLoopWorker(agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class):
    """verl's worker, unwrapped from Ray so that it can be extended; wrapped again below."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # verl's methods name the client and the function as globals of their module; this process runs nothing else
        # that does.
        if not isinstance(agent_loop_tq.tq, _GroupQueue):
            backend = self.config.transfer_queue.backend.storage_backend
            writer = RowWriter(agent_loop_tq.tq, batches_for(backend, agent_loop_tq.list_of_dict_to_tensordict))
            agent_loop_tq.tq = _GroupQueue(agent_loop_tq.tq, writer)
            agent_loop_tq.list_of_dict_to_tensordict = list
        self._writer = agent_loop_tq.tq.writer
        self.llm_client.config = RememberedConfig(self.llm_client.config)
        TogetherRequests(self.llm_client, _one_turn.get)
        vocabulary = self.model_config.hf_config.get_text_config().vocab_size
        self.llm_client = CheckedResponses(DistinctRequests(self.llm_client, _session.get), vocabulary)
        self._rewards_in_time = SilenceLimit(
            self.config.dots.reward_seconds, "the reward", "raise dots.reward_seconds if it takes longer than that"
        )
        self._quick_rewards = QuickRewards.of_config(self.config, self.tokenizer)
        self._single_turn = SharedSingleTurn(
            trainer_config=DictConfigWrap(self.config),
            server_manager=self.llm_client,
            tokenizer=self.tokenizer,
            processor=self.processor,
            hf_model_type=self.hf_model_type,
            dataset_cls=self.dataset_cls,
            data_config=DictConfigWrap(self.config.data),
            tools=ToolListWrap(self.tools),
            prompt_text=_prompt.get,
        )

    async def all_written(self) -> None:
        """Returns once nothing is left of the prompts that it was given."""
        await self._writer.over()

    async def _run_prompt(self, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool = False) -> None:
        prompt = unpacked(prompt)
        _group.set(
            _Group(
                partition=prompt.pop(PARTITION, None),
                temperature=prompt.pop(TEMPERATURE, None),
                first_rollout=int(prompt.pop(FIRST_ROLLOUT, 0)),
                first_session=int(prompt.pop(FIRST_SESSION, 0)),
            )
        )
        with self._writer.group(prompt["uid"]):
            await super()._run_prompt(prompt, sampling_params, trajectory, trace)

    async def _run_agent_loop(
        self, sampling_params: dict[str, Any], trajectory: dict, *, agent_name: str, trace: bool = True, **kwargs
    ) -> Any:
        group = _group.get()
        kwargs["session_id"] += group.first_session
        rollout = group.first_rollout + int(kwargs["session_id"])
        _session.set(f"{kwargs['uid']}_{kwargs['session_id']}")
        kind = "validation: " if trajectory["validate"] else ""
        text = prompt_text(kwargs["raw_prompt"])
        _prompt.set(text)
        own = own_randomness(self.rollout_config, int(trajectory["step"]), kind + text, rollout)
        sampling_params = {**sampling_params, **own}
        if group.temperature is not None:
            sampling_params = {**sampling_params, "temperature": float(group.temperature)}
        try:
            if is_single_turn(agent_name) and RolloutTraceConfig.get_backend() is None:
                _one_turn.set(True)
                output = await self._single_turn.run(sampling_params, **kwargs)
                return await self._agent_loop_postprocess(output, trajectory["validate"], **kwargs)
            return await super()._run_agent_loop(
                sampling_params, trajectory, agent_name=agent_name, trace=trace, **kwargs
            )
        except Exception as error:
            # verl marks the group as failed once this is raised again; by then its cause is told.
            await tell_failure(kwargs["uid"], kwargs["session_id"], error)
            raise

    async def _compute_score(self, outputs: list, kwargs: dict) -> None:
        last = outputs[-1]
        quick = self._quick_rewards
        if quick is not None and last.reward_score is None and quick.knows(kwargs["data_source"]):
            began = time.perf_counter()
            last.reward_score, last.extra_fields["reward_extra_info"] = quick.score(kwargs, last.response_ids)
            last.metrics.compute_score = time.perf_counter() - began
        else:
            await self._rewards_in_time.wait_for(super()._compute_score(outputs, kwargs))
        require_usable_reward(last.reward_score, last.extra_fields.get("reward_extra_info"))


class SeededAgentLoopManager(agent_loop_tq.AgentLoopManagerTQ):
    """verl's manager over SeededAgentLoopWorkers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(SeededAgentLoopWorker)
        self.temperature: float | None = None  # of training rollouts; None leaves the workers' own
        self._unwritten: list[ray.ObjectRef] = []  # one a worker that may still write

    def generate_sequences(self, prompts: TensorDict) -> None:
        """verl's, at this step's temperature; validation keeps its own, and prompts that have one theirs."""
        if self.temperature is not None and not {"validate", TEMPERATURE} & set(prompts.keys()):
            column = np.array([self.temperature] * len(prompts), dtype=object)
            prompts[TEMPERATURE] = tu.get_tensordict({TEMPERATURE: column})[TEMPERATURE]
        # By chunks: prompts that were read back from the queue are nested, and cannot be cut in another way.
        for part in prompts.chunk(math.ceil(len(prompts) / (PROMPTS_TOGETHER * len(self.agent_loop_workers)))):
            super().generate_sequences(CarriedPrompts(part))
        self._unwritten = [worker.all_written.remote() for worker in self.agent_loop_workers]

    def rest(self, seconds: float) -> None:
        """Return after so many seconds, or as soon as the workers have written all that they were asked for."""
        if self._unwritten:
            _, self._unwritten = ray.wait(self._unwritten, num_returns=len(self._unwritten), timeout=seconds)
        else:
            time.sleep(seconds)
