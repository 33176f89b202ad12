"""A trainer that saves what it has learnt where an error ends the run, unless the error leaves it half learnt."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.exceptions import RayError

from verl_dots.bridge.agents.failures import cause_of
from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.bridge.trainer.watch import ProcessDied
from verl_dots.training.pipeline import Pipeline
from verl_dots.training.recorded_trainer import RecordedTrainer

logger = logging.getLogger(__name__)


class RescuedTrainer(RecordedTrainer):
    """Knows which step is whole: trained on to its end, while no later one has begun to change the weights.

    A step that breaks while it rolls out leaves the one before it whole. One that breaks in its updates leaves none.
    What follows a step, such as new weights for the engine, a validation or a tracker, leaves that step whole.
    """

    pipeline: Pipeline
    _whole: int | None = None  # that step, of those since the start
    _under_way = False  # whether a later one has begun

    def step(self, metrics: dict, timing_raw: dict) -> Any:
        self._under_way = True
        batch = super().step(metrics, timing_raw)
        self._whole, self._under_way = self.global_steps, False
        return batch

    def update_critic(self, rows: Rows, metrics: dict) -> None:
        self._whole = None
        super().update_critic(rows, metrics)

    def update_actor(self, rows: Rows, metrics: dict) -> None:
        self._whole = None
        super().update_actor(rows, metrics)

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._under_way and not _cannot_save(error):
                self._rescue()
            raise

    def save_the_step_before(self) -> None:
        """Save what the steps before this one have learnt, which has broken while it rolled out."""
        if self._under_way and not (self.pipeline.store and self.pipeline.store.keeps_ahead):
            self._rescue()  # else what the step has taken from its store, or put there, is half done

    def give_up_step(self) -> None:
        """A step has broken, and the steps before it are about to be saved."""

    def _rescue(self) -> None:
        """Save the step that is whole, unless that was done or has failed."""
        if self._whole in (None, self.saving_step):
            return
        number, self.global_steps = self.global_steps, self._whole
        try:
            with self.saving():
                if self._under_way:
                    self.give_up_step()
                self.save()
        except (RuntimeError, RayError, OSError) as unsaved:
            logger.warning("step %d could not be saved: %s", self._whole, cause_of(unsaved))
        finally:
            self.global_steps = number


def _cannot_save(error: Exception) -> bool:
    """Whether an error tells of something without which nothing can be saved."""
    if isinstance(error, ProcessDied):
        return not error.only_rolled_out
    return isinstance(error, WaitError)  # for a worker that would also have to save
