"""verl's configured reward function, outside of a training run and off the event loop."""

import asyncio
import inspect
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from verl_dots.rewards import compute
from verl_dots.rewards.mathematics import DEFAULT_WORKERS
from verl_dots.settings import ConfigError


class RewardFunction:
    """`reward.custom_reward_function`, or verl's own where none is set; the call is that of verl's naive manager.

    A function that is no coroutine runs in a thread, as in verl. Ours grades mathematics in worker processes under
    a time limit (rewards/mathematics.py): as many as a training run's reward workers have together.

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
        self._threads = ThreadPoolExecutor(workers + 2, thread_name_prefix="reward")

    async def __call__(self, row: Mapping[str, Any], text: str) -> float:
        """Reward of a response to the question in `row` (verl's schema); see `judge`."""
        reward, _ = await self.judge(row, text)
        return reward

    async def judge(self, row: Mapping[str, Any], text: str) -> tuple[float, float]:
        """Reward and `acc` of a response to the question in `row` (verl's schema).

        `acc` is 1 of a right response. A function that gives none thinks those right that have a reward of 1 or more.

        Raises:
            TypeError: the function returned no number, or an `acc` that is none.
        """
        call = partial(
            self._function,
            data_source=row["data_source"],
            solution_str=text,
            ground_truth=row["reward_model"]["ground_truth"],
            extra_info={**(row.get("extra_info") or {}), "num_turns": 2, "rollout_reward_scores": {}},
        )
        if self._is_async:
            result = await call()
        else:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        score, acc = (result["score"], result.get("acc")) if isinstance(result, Mapping) else (result, None)
        try:
            reward = float(score)
            return reward, float(reward >= 1.0 if acc is None else acc)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"the reward function returned {result!r}; it must return a number or a dict with a number 'score' "
                "and, if it has one, a number 'acc'"
            ) from error

    def close(self) -> None:
        """Drop calls that have not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
