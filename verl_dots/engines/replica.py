"""The engine as a verl rollout, `rollout.name=hf`: the replica (driver side) and the workers' adapter."""

import asyncio
from collections.abc import Generator
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from verl.plugin.platform import get_platform
from verl.utils.device import get_resource_name
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica

from verl_dots.engines.carried_weights import carried
from verl_dots.engines.server import EngineServer, engine_kwargs

UPDATE_TIMEOUT_SECONDS = 600.0


def server_name(replica_rank: int, suffix: str = "") -> str:
    """Ray name of a replica's server actor, by which the workers find it."""
    return f"hf_server_{replica_rank}_0{suffix}"


class EngineReplica(RolloutReplica):
    """Starts one EngineServer beside the workers that send it their weights."""

    async def launch_servers(self) -> None:
        """Start the server on the first worker's node, with that worker's device."""
        if self.world_size != 1:
            raise ValueError(
                f"rollout.name=hf runs one model on one device; tensor x data x pipeline parallel size is "
                f"{self.world_size}: set them to 1 (there is one replica for every worker then)"
            )
        engine_kwargs(self.config)
        suffix = self.name_suffix
        if self.is_reward_model or self.is_teacher_model:
            suffix = f"_{'reward' if self.is_reward_model else 'teacher'}{suffix}"
        server = (
            ray.remote(EngineServer)
            .options(
                name=server_name(self.replica_rank, suffix),
                num_cpus=0,
                max_concurrency=self.max_concurrency,
                **await self._placement(),
            )
            .remote(
                config=self.config,
                model_path=self.model_config.path,
                trust_remote_code=bool(self.model_config.get("trust_remote_code", False)),
                replica_rank=self.replica_rank,
            )
        )
        await server.ready.remote()
        self.servers = [server]
        self._server_handle = server
        self._server_address = f"hf://{server_name(self.replica_rank, suffix)}"

    async def _placement(self) -> dict[str, Any]:
        """Ray options that put the server on the first worker's node, in sight of that worker's device."""

        def where(worker) -> tuple[str, list[str]]:
            context = ray.get_runtime_context()
            return context.get_node_id(), context.get_accelerator_ids()[get_resource_name()]

        node, devices = await self.workers[0].__ray_call__.remote(where)
        platform = get_platform()
        options = {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=node, soft=False)}
        if platform.device_name != "cpu":
            keep = {name: "1" for name in platform.ray_noset_envvars()}
            options["runtime_env"] = {"env_vars": {**keep, platform.visible_devices_envvar(): ",".join(devices)}}
        return options


class EngineAdapter(BaseRollout):
    """The workers' side: hands the actor's weights to the server of its replica."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, replica_rank: int = -1):
        super().__init__(config, model_config, device_mesh)
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        self.replica_rank = rank if replica_rank == -1 else replica_rank
        self.is_leader_rank = True
        self._server = None

    def _handle(self) -> ray.actor.ActorHandle:
        if self._server is None:
            self._server = ray.get_actor(server_name(self.replica_rank))
        return self._server

    async def resume(self, tags: list[str]) -> None:
        """Wake the server up."""
        await self._handle().wake_up.remote(tags)

    async def release(self) -> None:
        """Free the server's cache."""
        await self._handle().sleep.remote()

    async def update_weights(
        self,
        weights: Generator[tuple[str, torch.Tensor], None, None],
        global_steps: int | None = None,
        wire_format: str = "named_tensors",
        peft_config: Any = None,
        **kwargs: Any,
    ) -> None:
        """Send all weights to the server, within `update_timeout_seconds`.

        Every rank runs through the generator, because gathering a sharded tensor is collective.

        Raises:
            NotImplementedError: delta updates, or LoRA weights that are not merged.
            TimeoutError: the server did not take them in time.
        """
        if wire_format != "named_tensors":
            raise NotImplementedError(f"rollout.name=hf takes whole weights, not {wire_format!r}")
        if peft_config is not None:
            raise NotImplementedError("rollout.name=hf takes merged LoRA weights: set model.lora.merge=True")
        named = carried(weights)
        seconds = engine_kwargs(self.config).get("update_timeout_seconds", UPDATE_TIMEOUT_SECONDS)
        try:
            await asyncio.wait_for(self._handle().update_weights.remote(named, global_steps), seconds)
        except TimeoutError as error:
            raise TimeoutError(
                f"rollout server {self.replica_rank} did not take the weights of step {global_steps} within "
                f"{seconds:.0f} s; if the model is just large, raise rollout.engine_kwargs.hf.update_timeout_seconds"
            ) from error
