"""verl's agent loop, with seeds, partitions and the causes of failures.

Seeds: verl starts the sessions of a prompt concurrently and its engines see them in any order. What `seeds` puts into a
request makes its random numbers its own, whatever the order.

Partitions: verl's worker writes trajectories to the TransferQueue partition "train" or "val". A prompt with the field
`PARTITION` has its own written there instead, so that reference rollouts never mix with a train batch.

Failures: verl logs what an engine or a reward raised, and marks the group. `failures` takes the cause to the trainer.
A reward that is no finite number is a failure, too: it would spoil the advantages of its whole group.
"""

import contextvars
import json
from collections import Counter
from typing import Any

import numpy as np
import ray
from tensordict import TensorDict
from verl.trainer.ppo.v1 import agent_loop_tq
from verl.utils import tensordict_utils as tu

from verl_dots.bridge.failures import require_finite_reward, tell_failure
from verl_dots.bridge.seeds import DistinctRequests, own_randomness

# Fields of a prompt for this worker alone; they are not stored with its trajectories.
PARTITION = "__partition__"
FIRST_ROLLOUT = "__first_rollout__"  # index of the prompt's first session: two groups of one question differ by it
REPEATED = 10_000  # apart from each other: more than any group has rollouts
TEMPERATURE = "__temperature__"  # of the step, where it is not the one of the workers' own config

_partition: contextvars.ContextVar[str | None] = contextvars.ContextVar("partition", default=None)
_temperature: contextvars.ContextVar[float | None] = contextvars.ContextVar("temperature", default=None)
_first_rollout: contextvars.ContextVar[int] = contextvars.ContextVar("first_rollout", default=0)
_session: contextvars.ContextVar[str] = contextvars.ContextVar("session", default="")


class _RoutedQueue:
    """verl's TransferQueue client, with the partition of the prompt at hand in what is written."""

    def __init__(self, queue: Any):
        self._queue = queue

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def async_kv_put(self, *, partition_id: str, **kwargs: Any) -> Any:
        return await self._queue.async_kv_put(partition_id=_partition.get() or partition_id, **kwargs)

    async def async_kv_batch_put(self, *, partition_id: str, **kwargs: Any) -> Any:
        return await self._queue.async_kv_batch_put(partition_id=_partition.get() or partition_id, **kwargs)


def prompt_text(messages: Any) -> str:
    """A prompt's messages as one text, the same for equal prompts."""
    return json.dumps(list(messages), sort_keys=True, default=str)


def number_repeats(prompts: TensorDict, seen: Counter[str]) -> None:
    """Give groups of a prompt that came before other random numbers: two groups of a step are never copies.

    Args:
        prompts: a batch to roll out; where a prompt repeats an earlier one, its rows get FIRST_ROLLOUT.
        seen: prompts of the step so far, counted; this batch's are added.
    """
    first = []
    for messages in prompts["raw_prompt"]:
        text = prompt_text(messages)
        first.append(seen[text] * REPEATED)
        seen[text] += 1
    if any(first):
        prompts[FIRST_ROLLOUT] = tu.get_tensordict({FIRST_ROLLOUT: np.array(first, dtype=object)})[FIRST_ROLLOUT]


class SeededAgentLoopWorker(agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class):
    """verl's worker, unwrapped from Ray so that it can be extended; wrapped again below."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # verl's methods name the client as a global of their module; this process runs nothing else that does.
        if not isinstance(agent_loop_tq.tq, _RoutedQueue):
            agent_loop_tq.tq = _RoutedQueue(agent_loop_tq.tq)
        self.llm_client = DistinctRequests(self.llm_client, _session.get)

    async def _run_prompt(self, prompt: dict, sampling_params: dict, trajectory: dict, trace: bool = False) -> None:
        # Each prompt is a task with a context of its own, which the tasks of its sessions inherit.
        _partition.set(prompt.pop(PARTITION, None))
        _first_rollout.set(int(prompt.pop(FIRST_ROLLOUT, 0)))
        _temperature.set(prompt.pop(TEMPERATURE, None))
        await super()._run_prompt(prompt, sampling_params, trajectory, trace)

    async def _run_agent_loop(self, sampling_params: dict[str, Any], trajectory: dict, **kwargs) -> Any:
        rollout = _first_rollout.get() + int(kwargs["session_id"])
        _session.set(f"{kwargs['uid']}_{kwargs['session_id']}")
        kind = "validation: " if trajectory["validate"] else ""
        prompt = kind + prompt_text(kwargs["raw_prompt"])
        own = own_randomness(self.rollout_config, int(trajectory["step"]), prompt, rollout)
        sampling_params = {**sampling_params, **own}
        if _temperature.get() is not None:
            sampling_params = {**sampling_params, "temperature": float(_temperature.get())}
        try:
            return await super()._run_agent_loop(sampling_params, trajectory, **kwargs)
        except Exception as error:
            # verl marks the group as failed once this is raised again; by then its cause is told.
            await tell_failure(kwargs["uid"], kwargs["session_id"], error)
            raise

    async def _compute_score(self, outputs: list, kwargs: dict) -> None:
        await super()._compute_score(outputs, kwargs)
        require_finite_reward(outputs[-1].reward_score)


class SeededAgentLoopManager(agent_loop_tq.AgentLoopManagerTQ):
    """verl's manager over SeededAgentLoopWorkers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(SeededAgentLoopWorker)
        self.temperature: float | None = None  # of training rollouts; None leaves the workers' own

    def generate_sequences(self, prompts: TensorDict) -> None:
        """verl's, at this step's temperature; validation keeps its own."""
        if self.temperature is not None and "validate" not in prompts:
            column = np.array([self.temperature] * len(prompts), dtype=object)
            prompts[TEMPERATURE] = tu.get_tensordict({TEMPERATURE: column})[TEMPERATURE]
        super().generate_sequences(prompts)
