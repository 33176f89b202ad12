"""The engine as a verl rollout: a replica (driver side), its server (a Ray actor) and the workers' adapter.

`rollout.name=hf` selects it. Settings of its own go into `rollout.engine_kwargs.hf`: `threads` (torch threads
of the server), `max_prefill_tokens`, `update_timeout_seconds`.
"""

import asyncio
import itertools
import logging
from collections.abc import Generator
from typing import Any

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from verl.plugin.platform import get_platform
from verl.utils.device import get_resource_name
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

from verl_dots.rollout.engine import EngineConfig
from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.service import EngineService

logger = logging.getLogger(__name__)

UPDATE_TIMEOUT_SECONDS = 600.0
ENGINE_KWARGS = ("threads", "max_prefill_tokens", "update_timeout_seconds")


def engine_kwargs(config: Any) -> dict[str, Any]:
    """`rollout.engine_kwargs.hf`, checked for unknown names."""
    given = dict((config.engine_kwargs or {}).get("hf") or {})
    unknown = sorted(set(given) - set(ENGINE_KWARGS))
    if unknown:
        raise ValueError(f"rollout.engine_kwargs.hf has unknown keys {unknown}; allowed: {list(ENGINE_KWARGS)}")
    return given


def server_name(replica_rank: int, suffix: str = "") -> str:
    """Ray name of a replica's server actor, by which the workers find it."""
    return f"hf_server_{replica_rank}_0{suffix}"


class EngineServer:
    """Ray actor around an EngineService, with the methods that verl calls on a rollout server."""

    def __init__(self, config: Any, model_path: str, trust_remote_code: bool, replica_rank: int):
        self.config = config
        extra = engine_kwargs(config)
        device = "cpu" if get_platform().device_name == "cpu" else get_platform().device_name
        limits = EngineConfig(
            max_model_len=config.max_model_len or config.prompt_length + config.response_length,
            max_num_seqs=config.max_num_seqs,
            max_prefill_tokens=extra.get("max_prefill_tokens", config.max_num_batched_tokens),
            seed=config.seed,
        )
        engine = load_engine(
            model_path,
            limits,
            dtype=getattr(torch, config.dtype),
            device=device,
            trust_remote_code=trust_remote_code,
            random_weights=config.load_format == "dummy",
        )
        self.service = EngineService(engine, threads=extra.get("threads"))
        self._numbers = itertools.count()

    async def ready(self) -> bool:
        """Returns once the model is loaded."""
        return True

    async def generate(
        self,
        request_id: str,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: Any = None,
        video_data: Any = None,
        **kwargs: Any,
    ) -> TokenOutput:
        """Continue one prompt. `sampling_params`: see rollout.request.SamplingParams.

        Raises:
            BadRequest: this request cannot be served (raised here alone).
        """
        if image_data or video_data or kwargs.get("audio_data"):
            raise ValueError("rollout.name=hf serves text only; use vllm or sglang for images, video and audio")
        room = self.config.prompt_length + self.config.response_length - len(prompt_ids)
        params = SamplingParams.from_mapping(sampling_params, max(1, min(self.config.response_length, room)))
        # verl may use an id again (deterministic ids); inside the engine every request has its own.
        request = Request(f"{request_id}#{next(self._numbers)}", tuple(int(token) for token in prompt_ids), params)
        done = await self.service.generate(request)
        return TokenOutput(
            token_ids=done.token_ids,
            log_probs=done.log_probs,
            stop_reason="aborted" if done.stop_reason == "aborted" else "completed",
            num_preempted=0,
            extra_fields={"global_steps": done.weights_version},
        )

    async def update_weights(self, weights: dict[str, torch.Tensor], global_steps: int | None = None) -> None:
        """Replace all weights; they are version `global_steps` from now on."""
        await self.service.load_weights(weights, global_steps)

    async def set_global_steps(self, global_steps: int) -> None:
        """Name the version of the present weights."""
        await self.service.set_version(global_steps)

    async def sleep(self) -> None:
        """Free the cache and hold requests; nothing where rollout.free_cache_engine is off, as in vLLM."""
        if self.config.free_cache_engine:
            await self.service.sleep()

    async def wake_up(self, tags: list[str] | None = None) -> None:
        """Serve requests again (verl wakes weights and cache one after the other; only the cache sleeps here)."""
        if tags is None or "kv_cache" in tags:
            await self.service.wake()

    async def clear_kv_cache(self) -> None:
        """Nothing: no keys outlive their request."""

    async def release_kv_cache(self) -> None:
        """Free the cache around a weight transfer."""
        if self.config.free_cache_engine:
            await self.service.release_cache()

    async def resume_kv_cache(self) -> None:
        """Nothing: the cache grows with the next request."""

    async def abort_all_requests(self, reject_request: bool = False) -> dict[str, Any]:
        """Answer all running requests with what they have and hold (or reject) new ones until resumed."""
        return {"aborted_count": await self.service.pause(reject=reject_request)}

    async def resume_generation(self) -> None:
        """Serve requests again after abort_all_requests."""
        await self.service.resume()

    async def start_profile(self, **kwargs: Any) -> None:
        """Nothing: profile the process from outside."""

    async def stop_profile(self) -> None:
        """Nothing, see start_profile."""

    async def get_stats(self) -> dict[str, Any]:
        """Counters of the engine."""
        return await self.service.stats()


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
        named = {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights}
        seconds = engine_kwargs(self.config).get("update_timeout_seconds", UPDATE_TIMEOUT_SECONDS)
        try:
            await asyncio.wait_for(self._handle().update_weights.remote(named, global_steps), seconds)
        except TimeoutError as error:
            raise TimeoutError(
                f"rollout server {self.replica_rank} did not take the weights of step {global_steps} within "
                f"{seconds:.0f} s; if the model is just large, raise rollout.engine_kwargs.hf.update_timeout_seconds"
            ) from error
