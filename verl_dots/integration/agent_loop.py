"""verl's agent loop, with seeds: which response of its prompt a request is travels to the engine.

verl starts the sessions of a prompt concurrently and its engines see them in any order. With the index of the
session in the request, the engine's random numbers do not depend on that order.
"""

from typing import Any

import ray
from verl.trainer.ppo.v1 import agent_loop_tq

# Engines whose sampling parameters know `rollout_index`.
INDEXED_ENGINES = ("hf",)


class SeededAgentLoopWorker(agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class):
    """verl's worker, unwrapped from Ray so that it can be extended; wrapped again below."""

    async def _run_agent_loop(self, sampling_params: dict[str, Any], trajectory: dict, **kwargs) -> Any:
        if self.rollout_config.name in INDEXED_ENGINES:
            sampling_params = {**sampling_params, "rollout_index": int(kwargs["session_id"])}
        return await super()._run_agent_loop(sampling_params, trajectory, **kwargs)


class SeededAgentLoopManager(agent_loop_tq.AgentLoopManagerTQ):
    """verl's manager over SeededAgentLoopWorkers."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(SeededAgentLoopWorker)
