"""verl's configured reward function, outside of a training run and off the event loop."""

import asyncio
import inspect
import queue
import resource
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

import psutil
from omegaconf import DictConfig, OmegaConf, open_dict

from verl_dots.rewards import compute
from verl_dots.rewards.limits import RewardError, SilenceLimit, limit_memory, require_usable_reward
from verl_dots.rewards.mathematics import DEFAULT_WORKERS
from verl_dots.settings import ConfigError


class RewardFunction:
    """`reward.custom_reward_function`, or verl's own where none is set; the call is that of verl's naive manager.

    A function that is no coroutine runs in a thread, as in verl. Ours grades mathematics in worker processes under
    a time limit (rewards/mathematics.py): as many as a training run's reward workers have together.

    From the first response on, until `close`, this process gets dots.reward_memory_gib more than it has then, at most.

    Args:
        config: a composed config; it is copied.

    Raises:
        ConfigError: rewards come from a reward model, or the function cannot be loaded.
    """

    def __init__(self, config: DictConfig):
        from verl.trainer.ppo.reward import get_custom_reward_fn
        from verl.utils.reward_score import default_compute_score

        if config.reward.reward_model.enable:
            text = "reward.reward_model.enable=True: only reward functions are supported; set it to False"
            raise ConfigError(text, key="reward.reward_model.enable", reason="excluded")
        config = config.copy()
        workers = _math_workers(config)
        try:
            function = get_custom_reward_fn(config) or default_compute_score
        except (OSError, RuntimeError, AttributeError, ImportError) as error:
            path = config.reward.custom_reward_function.path
            text = f"reward.custom_reward_function.path={path!r} cannot be loaded: {error}"
            raise ConfigError(text, key="reward.custom_reward_function.path", reason="file") from error
        self._function = function
        self._is_async = inspect.iscoroutinefunction(function)
        # Most of them wait for a worker process; two more keep the others busy meanwhile.
        self._threads = _Threads(workers + 2)
        self._memory, self._before = config.dots.reward_memory_gib, None
        seconds = config.dots.reward_seconds
        self._in_time = SilenceLimit(seconds, "the reward function", "raise dots.reward_seconds if it takes longer")

    async def __call__(self, row: Mapping[str, Any], text: str) -> float:
        """Reward of a response to the question in `row` (verl's schema); see `judge`."""
        reward, _ = await self.judge(row, text)
        return reward

    async def judge(self, row: Mapping[str, Any], text: str) -> tuple[float, float]:
        """Reward and `acc` of a response to the question in `row` (verl's schema).

        `acc` is 1 of a right response. A function that gives none thinks those right that have a reward of 1 or more.

        Raises:
            RewardError: the function returned no finite number, an `acc` that is none, or nothing for so long as
                dots.reward_seconds, or it wanted more memory than dots.reward_memory_gib.
        """
        self._limit_memory()
        call = partial(
            self._function,
            data_source=row["data_source"],
            solution_str=text,
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info={**(row.get("extra_info") or {}), "num_turns": 2, "rollout_reward_scores": {}},
        )
        try:
            result = await self._in_time.wait_for(call() if self._is_async else self._threads.run(call))
        except MemoryError as error:
            gib = f"dots.reward_memory_gib={self._memory:g}"
            text = f"the reward function wanted more memory than {gib} allows; raise it, or let it take less"
            raise RewardError(text) from error
        if isinstance(result, Mapping) and "score" not in result:
            raise RewardError(f"the reward function returned {result!r:.200}; a dict must have a number 'score'")
        score, beside = (result["score"], result) if isinstance(result, Mapping) else (result, {})
        if score is None:
            raise RewardError("the reward function returned None; it must return a number or a dict with a 'score'")
        require_usable_reward(score, beside)
        reward, acc = float(score), beside.get("acc")
        return reward, float(reward >= 1.0 if acc is None else acc)

    def close(self) -> None:
        """Drop calls that have not begun, and give the process its memory back."""
        self._threads.close()
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._before)
            self._before = None

    def _limit_memory(self) -> None:
        """Once. By now Ray's processes are there, which would inherit it."""
        if self._before is None:
            self._before = resource.getrlimit(resource.RLIMIT_DATA)
            limit_memory(self._memory + psutil.Process().memory_info().data / 2**30)


class _Threads:
    """Threads that run calls and that no exit of the process waits for: a call may never end.

    The executor of the standard library has its threads waited for.
    """

    def __init__(self, number: int):
        self._calls: queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._number = number
        for place in range(number):
            threading.Thread(target=self._work, name=f"reward_{place}", daemon=True).start()

    async def run(self, call: Callable[[], Any]) -> Any:
        """What a call returns or raises."""
        future: Future = Future()
        self._calls.put((future, call))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop calls that have not begun; threads that are free end."""
        while not self._calls.empty():
            waiting = self._calls.get()
            if waiting is not None:
                waiting[0].cancel()
        for _ in range(self._number):
            self._calls.put(None)

    def _work(self) -> None:
        while (waiting := self._calls.get()) is not None:
            future, call = waiting
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                future.set_exception(error)
            except BaseException as error:  # noqa: BLE001 - exit() of somebody's function ends no evaluation in silence
                future.set_exception(RewardError(f"the reward function raised {error!r}"))


def _math_workers(config: DictConfig) -> int:
    """Worker processes for mathematics in this process; written into the config where ours is the function."""
    workers = max(1, int(config.reward.num_workers)) * DEFAULT_WORKERS
    settings = config.reward.custom_reward_function
    if settings.path == compute.PATH:
        with open_dict(settings):
            given = OmegaConf.to_container(settings.get("reward_kwargs") or OmegaConf.create({}))
            settings.reward_kwargs = {"math_workers": workers, **given}
        workers = int(settings.reward_kwargs["math_workers"])
    return workers
