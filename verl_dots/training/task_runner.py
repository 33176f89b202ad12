"""The remote task that builds and runs the trainer: verl's, with our trainers in its process."""

from omegaconf import DictConfig
from verl.trainer.main_ppo import TaskRunnerV1


class DotsTaskRunner(TaskRunnerV1.__ray_metadata__.modified_class):
    """verl's V1 task runner, unwrapped from Ray; `launch` wraps it again."""

    def run(self, config: DictConfig) -> None:
        """Train; `trainer.v1.trainer_mode` names the trainer."""
        from verl_dots.training.modes import take_the_place_of_verls

        take_the_place_of_verls()
        super().run(config)
