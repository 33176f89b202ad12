"""The Ray actor that serves one engine, with the methods that verl calls on a rollout server.

Settings of its own come in `rollout.engine_kwargs.hf`: `threads` (torch threads of the engine), `max_prefill_tokens`,
and `update_timeout_seconds` (of the workers that send weights, see replica.py).
"""

import itertools
from typing import Any

import torch
from verl.plugin.platform import get_platform
from verl.workers.rollout.replica import TokenOutput

from verl_dots.engines.carried_weights import Carried, arrived
from verl_dots.engines.many_requests import ServesMany
from verl_dots.rollout.loading import load_engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.service import EngineService
from verl_dots.rollout.settings import EngineConfig

ENGINE_KWARGS = ("threads", "max_prefill_tokens", "update_timeout_seconds")


def engine_kwargs(config: Any) -> dict[str, Any]:
    """`rollout.engine_kwargs.hf`, checked for unknown names."""
    given = dict((config.engine_kwargs or {}).get("hf") or {})
    unknown = sorted(set(given) - set(ENGINE_KWARGS))
    if unknown:
        raise ValueError(f"rollout.engine_kwargs.hf has unknown keys {unknown}; allowed: {list(ENGINE_KWARGS)}")
    return given


class EngineServer(ServesMany):
    """Ray actor around an EngineService, with the methods that verl calls on a rollout server."""

    def __init__(self, config: Any, model_path: str, trust_remote_code: bool, replica_rank: int):
        self.config = config
        extra = engine_kwargs(config)
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
            device=get_platform().device_name,
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

    async def update_weights(self, weights: dict[str, Carried], global_steps: int | None = None) -> None:
        """Replace all weights; they are version `global_steps` from now on."""
        await self.service.load_weights(arrived(weights), global_steps)

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
