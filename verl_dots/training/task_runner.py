"""The remote task that builds and runs the trainer: verl's, with our trainers in its process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import ray
from omegaconf import DictConfig, OmegaConf
from ray.exceptions import GetTimeoutError
from verl.trainer import main_ppo
from verl.trainer.main_ppo import TaskRunnerV1

from verl_dots.bridge.trainer.patience import ADVICE, Patience, WaitError
from verl_dots.secrets import hidden, secret_values, without
from verl_dots.settings import ConfigError


@contextmanager
def secrets_unseen(config: DictConfig) -> Iterator[None]:
    """While verl starts Ray, what it prints hides the secrets of `ray_kwargs`: it prints all that Ray starts with."""
    given = config.get("ray_kwargs") or OmegaConf.create({})
    plain = (OmegaConf.to_container(given, resolve=resolve) for resolve in (False, True))
    values = [text for one in plain for text in secret_values(one)]

    def masked(*words: Any) -> None:
        sys.stdout.write(without(" ".join(map(str, words)), values) + "\n")

    main_ppo.print = masked  # in place of the builtin, in this module alone
    try:
        yield
    finally:
        del main_ppo.print


class DotsTaskRunner(TaskRunnerV1.__ray_metadata__.modified_class):
    """verl's V1 task runner, unwrapped from Ray; `launch` wraps it again."""

    def run(self, config: DictConfig) -> None:
        """Train; `trainer.v1.trainer_mode` names the trainer.

        From here on the config is printed, kept and sent to trackers; Ray has started with the secrets in it.
        """
        from verl_dots.bridge.trainer.worker_ports import draw_ports
        from verl_dots.training.modes import take_the_place_of_verls

        draw_ports()
        take_the_place_of_verls()
        config = OmegaConf.create(hidden(OmegaConf.to_container(config)))
        # A trainer's own waits are parts of this one.
        with Patience(config.dots.patience_seconds, ADVICE).waiting("the TransferQueue and the agent loops to start"):
            super().run(config)


class PlacedTaskRunner:
    """What `run_ppo` takes for the class of a task runner. verl waits for ever where Ray has no place for it.

    Args:
        actor_class: such as `ray.remote(DotsTaskRunner)`.
        seconds: that Ray has to place and start it.
        folder: of the run, as the settings name it.
    """

    def __init__(self, actor_class: Any, seconds: float, folder: Path):
        self._actor_class, self._seconds, self._folder = actor_class, seconds, folder

    def options(self, **given: Any) -> Self:
        """The same with Ray's options for an actor."""
        return type(self)(self._actor_class.options(**given), self._seconds, self._folder)

    def remote(self) -> Any:
        """The handle of a task runner that has started.

        Raises:
            WaitError: it has not, in that time; it will not start later.
            ConfigError: the run folder is another one where it works.
        """
        runner = self._actor_class.remote()
        try:
            ray.get(runner.__ray_ready__.remote(), timeout=self._seconds)
        except GetTimeoutError as error:
            ray.kill(runner)
            there, free = (found().get("CPU", 0) for found in (ray.cluster_resources, ray.available_resources))
            raise WaitError(
                f"waited {self._seconds:g} s for Ray to start the task runner; {free:g} of {there:g} CPUs are free. "
                f"`ray status` tells what has them: wait for its end, add a node, or {ADVICE}"
            ) from error
        self._require_same_folder(runner)
        return runner

    def _require_same_folder(self, runner: Any) -> None:
        """The command's lock, its `stop` and its search for checkpoints are of no use in another folder."""
        folder = self._folder
        here = str(folder.absolute())
        there = ray.get(runner.__ray_call__.remote(lambda _: str(folder.absolute())), timeout=self._seconds)
        if here != there:
            ray.kill(runner)
            key = "trainer.default_local_dir"
            raise ConfigError(
                f"{key}={folder}: is {here} for this command and {there} for the trainer, which works in another "
                "folder; give an absolute path that all machines see",
                key=key,
                reason="machine",
            )
