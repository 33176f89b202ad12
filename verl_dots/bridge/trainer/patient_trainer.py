"""verl's V1 trainer, of whichever mode, whose waits end, by verl's public names alone."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import ray
from omegaconf import DictConfig
from verl.trainer.ppo.v1.trainer_base import PPOTrainer
from verl.utils.debug import marked_timer

from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue.looks import LONGEST_SECONDS, Looks, look_with
from verl_dots.bridge.trainer.patience import ADVICE, Patience, WaitError
from verl_dots.bridge.trainer.watch import Watch, ends_in_time, processes_of
from verl_dots.bridge.trainer.workers import SEEDED
from verl_dots.rewards.limits import limit_memory


class PatientTrainer(PPOTrainer):
    """Says what it waits for, from the start of its workers to the last step, and waits no longer than it may.

    Args:
        config: verl's with the group `dots`.
    """

    patience = Patience(3600.0, ADVICE)  # that of the config, once there is one
    watch: Watch | None = None  # while it trains

    def __init__(self, config: DictConfig):
        self.patience = Patience(config.dots.patience_seconds, ADVICE)
        super().__init__(config)
        longest = min(LONGEST_SECONDS, config.dots.patience_seconds / 10)
        self.looks = Looks(config.dots.poll_seconds, self.patience.news, longest)
        look_with(self.replay_buffer, self.looks)

    def init(self) -> None:
        """verl's: start the workers and load the checkpoint."""
        with self.patience.waiting("the workers to start: devices that Ray has free (`ray status`), models to load"):
            super().init()
            self._limit_rewards()

    def _init_resource_pool_mgr(self) -> None:
        super()._init_resource_pool_mgr()
        for role, worker in self.role_worker_mapping.items():
            if seeded := SEEDED.get(worker.__ray_actor_class__):
                self.role_worker_mapping[role] = ray.remote(seeded)

    def _limit_rewards(self) -> None:
        """Limit the memory of the reward workers, whose functions may be anybody's."""
        limit, workers = self.config.dots.reward_memory_gib, self.reward_loop_manager.reward_loop_workers
        ray.get([worker.__ray_call__.remote(lambda _, gibibytes: limit_memory(gibibytes), limit) for worker in workers])

    def fit(self, agent_loop_manager: Any) -> None:
        """verl's: train to the end, or until a process has died that it waits for."""
        self.looks.rest = getattr(agent_loop_manager, "rest", self.looks.rest)  # one of the user's has none
        watch, wait = Watch(processes_of(self, agent_loop_manager)), self.patience.waiting("the first step")
        with ends_in_time(), self.kept(), watch as self.watch, wait:
            super().fit(agent_loop_manager)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The training. What an error that leaves it would lose can be saved here, with nobody watching any more."""
        yield

    def undisturbed(self) -> AbstractContextManager:
        """A part that needs no rollouts, or makes up for them: the death of what generates ends the run behind it."""
        return self.watch.held() if self.watch else nullcontext()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """A checkpoint is written, for no longer than the run may wait, and no death that is known by now ends it."""
        what = f"the checkpoint of step {self.global_steps} to be written"
        with self.undisturbed(), self.patience.waiting(what):
            yield

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """For as long as rollouts are waited for, or agent loops that take them on.

        Raises:
            RolloutFailure: there was no news of them for too long, or a process has died that generates them.
        """
        self.looks.begin()
        try:
            with self.patience.waiting("rollouts"):
                yield
        except WaitError as error:
            raise RolloutFailure(str(error)) from error
        except KeyboardInterrupt as error:
            if self.watch and (death := self.watch.death) and death.only_rolled_out:
                raise RolloutFailure(str(death)) from error
            raise

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the seconds of a part of the step to verl's timing, and say that it is waited for."""
        self.patience.news(f"`{name}` of step {self.global_steps}")
        with marked_timer(name, self.timing_raw):
            yield
        self.patience.news(f"what follows `{name}` in step {self.global_steps}")
