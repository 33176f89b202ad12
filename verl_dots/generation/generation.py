"""Many responses from verl's rollout servers alone: no trainer, no actor, nothing to send weights.

    with RolloutServers(config) as servers:
        prompts = [servers.tokenize(messages) for messages in chats]
        servers.generate(prompts, rollouts=8, on_response=keep)

The servers are those of a training run (`actor_rollout_ref.rollout`: vllm or sglang over tensor-parallel GPUs, `hf`
on a CPU or a GPU), one replica for every tensor x data x pipeline parallel group of the machine, behind verl's own
load balancer. On the `hf` engine in float32 on a CPU the same call gives the same responses bit for bit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

from omegaconf import DictConfig
from tqdm import tqdm

from verl_dots.bridge.agents.seeds import own_randomness
from verl_dots.generation.responses import Response
from verl_dots.generation.standalone import (
    chat_tokenizer,
    count_replicas,
    load_tokenizer,
    ray_of,
    require_devices,
    standalone_config,
)
from verl_dots.processes.environment import prepare_environment
from verl_dots.rewards.limits import SilenceLimit


class GenerationError(RuntimeError):
    """A rollout server failed on a request."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: divides the logits; 0 takes the most likely token.
        top_p: keep the smallest set of tokens whose probability reaches this.
        top_k: keep this many most likely tokens; -1 keeps all.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int = -1

    @classmethod
    def of(cls, node: DictConfig) -> "Sampling":
        """From `actor_rollout_ref.rollout`, or its `val_kwargs`."""
        return cls(float(node.temperature), float(node.top_p), int(node.top_k))


class RolloutServers:
    """verl's rollout servers without training workers, as a context manager; Ray runs as long as they do.

    Args:
        config: a composed config (verl_dots.launch.compose); it is copied.

    Raises:
        ConfigError: the settings cannot work: no engine named, more GPUs wanted than there are, no such model.
    """

    def __init__(self, config: DictConfig):
        self._environment = prepare_environment(config.trainer.device == "cpu", config.trainer.nnodes)
        self.config = standalone_config(config)
        self.replicas = count_replicas(self.config)
        self.tokenizer = load_tokenizer(self.config)
        self._manager = None
        self._runner: asyncio.Runner | None = None
        self._opened = ExitStack()

    @property
    def most_in_flight(self) -> int:
        """Requests that keep every replica full."""
        return self.replicas * int(self.config.actor_rollout_ref.rollout.max_num_seqs)

    @cached_property
    def tokenize(self) -> Callable[[Sequence[Mapping[str, str]]], list[int]]:
        """Token ids of a chat, as verl's agent loop gives them to the engine.

        Raises:
            ConfigError: the tokenizer has no chat template.
        """
        return chat_tokenizer(self.tokenizer, self.config)

    def __enter__(self) -> "RolloutServers":
        from ray.exceptions import RayError
        from verl.workers.rollout.llm_server import LLMServerManager

        self._opened.enter_context(ray_of(self.config, self._environment))
        self._runner = asyncio.Runner()

        async def create() -> LLMServerManager:
            return await LLMServerManager.create(config=self.config)

        try:
            require_devices(self.config)
            seconds = self.config.dots.patience_seconds
            self._manager = self._runner.run(asyncio.wait_for(create(), seconds))
        except TimeoutError as error:
            self.__exit__()
            raise GenerationError(
                f"the rollout servers did not start within {seconds:g} s; raise dots.patience_seconds if they are "
                "slow, and see what Ray waits for (`ray status`)"
            ) from error
        except RayError as error:
            self.__exit__()
            raise GenerationError(f"the rollout servers did not start: {error}") from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self._manager = None
        if self._runner is not None:
            self._runner.close()
            self._runner = None
        self._opened.close()

    def generate(
        self,
        prompt_ids_P: Sequence[Sequence[int]],
        rollouts: int,
        on_response: Callable[[Response], Awaitable[None]],
        *,
        sampling: Sampling | None = None,
        in_flight: int | None = None,
        label: str | None = "rollouts",
    ) -> None:
        """Generate `rollouts` responses to every prompt and hand each over as soon as it is there.

        Args:
            prompt_ids_P: token ids of the prompts, each at most data.max_prompt_length long. Taken in this order.
            on_response: awaited once for every response, in order of completion and several at a time. While as
                many responses as requests in flight wait in it, no new request is sent. What it raises ends the
                generation and is raised here.
            sampling: the rollout config's by default.
            in_flight: most requests at the engines at a time; `most_in_flight` by default.
            label: of the progress bar; None shows none.

        Raises:
            GenerationError: a server failed on a request.
        """
        if self._runner is None:
            raise RuntimeError("the rollout servers are not running; use `with RolloutServers(config) as servers:`")
        if rollouts < 1:
            raise ValueError(f"rollouts={rollouts}: must be at least 1")
        sampling = sampling or Sampling.of(self.config.actor_rollout_ref.rollout)
        limit = in_flight or self.most_in_flight
        with tqdm(total=len(prompt_ids_P) * rollouts, desc=label, unit="response", disable=label is None) as bar:
            self._runner.run(self._generate(prompt_ids_P, rollouts, on_response, sampling, limit, bar))

    def answers(self, asked: Sequence[tuple[Sequence[int], Mapping[str, Any]]]) -> list[Any]:
        """What the servers answer to prompts that reach them at once, each with sampling parameters of its own.

        Args:
            asked: token ids of each prompt, and what `sampling_params` gives or other parameters of verl's servers.

        Returns:
            verl's TokenOutput of each, in their order.

        Raises:
            GenerationError: a server failed on a request.
        """
        from ray.exceptions import RayError

        client = self._manager.get_client()

        async def all_at_once() -> list[Any]:
            calls = (
                client.generate(request_id=uuid4().hex, prompt_ids=list(prompt), sampling_params=dict(params))
                for prompt, params in asked
            )
            return await asyncio.gather(*calls)

        try:
            return self._runner.run(all_at_once())
        except RayError as error:
            raise GenerationError(f"the rollout server failed: {error}") from error

    async def _generate(self, prompt_ids_P, rollouts, on_response, sampling, limit, bar) -> None:
        client = self._manager.get_client()
        in_time = SilenceLimit(
            self.config.dots.patience_seconds,
            "the rollout servers",
            "raise dots.patience_seconds if they are slow",
            GenerationError,
        )
        slots = asyncio.Semaphore(limit)
        # Shared by the workers below: all rollouts of a prompt go out together, so that questions are done early.
        pairs = ((prompt, rollout) for prompt in range(len(prompt_ids_P)) for rollout in range(rollouts))

        async def work() -> None:
            for prompt, rollout in pairs:
                async with slots:
                    asked = self._respond(client, prompt, rollout, prompt_ids_P[prompt], sampling)
                    response = await in_time.wait_for(asked)
                await on_response(response)
                bar.update()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(2 * limit, len(prompt_ids_P) * rollouts)):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise _first(errors) from None

    async def _respond(self, client, prompt: int, rollout: int, prompt_ids: Sequence[int], sampling) -> Response:
        from ray.exceptions import RayError

        rollout_config = self.config.actor_rollout_ref.rollout
        # verl's balancer sends equal ids to one server, which then shares the prompt's keys and values.
        own = f"-{rollout}" if rollout_config.full_determinism else ""
        try:
            output = await client.generate(
                request_id=f"prompt-{prompt}{own}",
                prompt_ids=list(prompt_ids),
                sampling_params=sampling_params(rollout_config, sampling, prompt_ids, rollout),
            )
        except RayError as error:
            raise GenerationError(f"prompt {prompt}, response {rollout}: the rollout server failed: {error}") from error
        tokens = [int(token) for token in output.token_ids]
        text = await asyncio.to_thread(self.tokenizer.decode, tokens, skip_special_tokens=True)
        return Response(prompt, rollout, tokens, text, output.stop_reason)


def sampling_params(rollout_config: DictConfig, sampling: Sampling, prompt_ids: Sequence[int], rollout: int) -> dict:
    """What verl's agent loop sends, without log-probabilities, and with what makes responses repeatable."""
    return {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "repetition_penalty": 1.0,
        "logprobs": False,
        **own_randomness(rollout_config, 0, str(list(prompt_ids)), rollout),
    }


def _first(errors: BaseExceptionGroup) -> BaseException:
    error = errors.exceptions[0]  # which may itself be a group
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
