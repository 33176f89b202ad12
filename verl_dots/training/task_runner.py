"""The remote task that builds and runs the trainer: verl's, with our trainers in its process."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from verl.trainer import main_ppo
from verl.trainer.main_ppo import TaskRunnerV1

from verl_dots.bridge.trainer.patience import ADVICE, Patience
from verl_dots.secrets import hidden, secret_values, without


@contextmanager
def secrets_unseen(config: DictConfig) -> Iterator[None]:
    """While verl starts Ray, what it prints hides the secrets of `ray_kwargs`: it prints all that Ray starts with."""
    ray = config.get("ray_kwargs") or OmegaConf.create({})
    values = [text for resolve in (False, True) for text in secret_values(OmegaConf.to_container(ray, resolve=resolve))]

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
