"""A trainer that saves what it has learnt where an error ends the run, unless the error leaves it half learnt."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from verl_dots.bridge.agents.failures import cause_of
from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.trainer.patience import WaitError
from verl_dots.bridge.trainer.watch import ProcessDied
from verl_dots.checkpoints import DATA
from verl_dots.training.pipeline import Pipeline
from verl_dots.training.recorded_trainer import RecordedTrainer
from verl_dots.training.stage_files import States

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beginning:
    """What a step changes before its updates, as it was when the step began.

    Attributes:
        stages: states of the methods.
        loader: the place in the data.
    """

    stages: States
    loader: dict[str, Any]


class RescuedTrainer(RecordedTrainer):
    """Knows which step is whole: trained on to its end, while no later one has begun to change the weights.

    A step that breaks before its updates leaves the one before it whole: that is saved as if this one had never begun,
    and a resumed run begins it anew, with the same questions. One that breaks in a forward pass of the workers, or in
    its updates, leaves none. What follows a step, such as new weights for the engine, a validation or a tracker, leaves
    that step whole.
    """

    pipeline: Pipeline
    _whole: int | None = None  # that step, of those since the start
    _begun: Beginning | None = None  # a later one, where that step is not saved

    def step(self, metrics: dict, timing_raw: dict) -> Any:
        self.keep_beginning()
        batch = super().step(metrics, timing_raw)
        self._whole, self._begun = self.global_steps, None
        return batch

    def keep_beginning(self) -> None:
        """A step begins: keep what a checkpoint of the one before it holds, where that is not saved."""
        if self._unsaved:
            self._begun = Beginning(self.pipeline.states(), copy.deepcopy(self.train_dataloader.state_dict()))
        else:
            self._whole = None

    def forward(self, field: str, rows: Rows, metrics: dict) -> None:
        with self._in_workers():
            super().forward(field, rows, metrics)

    def compute_values(self, rows: Rows, metrics: dict) -> None:
        with self._in_workers():
            super().compute_values(rows, metrics)

    @contextmanager
    def _in_workers(self) -> Iterator[None]:
        """A forward pass: where it breaks off FSDP cannot save, and other ranks may wait for the one that broke."""
        try:
            yield
        except Exception:
            self._whole = self._begun = None
            raise

    def update_critic(self, rows: Rows, metrics: dict) -> None:
        self._whole = self._begun = None
        super().update_critic(rows, metrics)

    def update_actor(self, rows: Rows, metrics: dict) -> None:
        self._whole = self._begun = None
        super().update_actor(rows, metrics)

    @property
    def _unsaved(self) -> bool:
        """Whether there is a whole step that has not been saved, nor failed to be."""
        return self._whole not in (None, self.saving_step)

    @contextmanager
    def kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._unsaved and not _cannot_save(error):
                self._rescue()
            raise

    def give_up_step(self) -> None:
        """A step has broken, and the one before it is about to be saved."""

    def _rescue(self) -> None:
        """Save the step that is whole; what keeps it from that is told, and hides no error that ends the run."""
        number, self.global_steps = self.global_steps, self._whole
        try:
            with self.saving():
                if self._begun:
                    self.give_up_step()
                self.save()
        except Exception as unsaved:
            logger.warning("step %d could not be saved: %s", self._whole, cause_of(unsaved))
        finally:
            self.global_steps = number

    def save_stages(self, folder: Path) -> None:
        self.pipeline.save(folder, self._begun.stages if self._begun else None)

    def _write_checkpoint(self, folder: Path) -> None:
        super()._write_checkpoint(folder)
        if self._begun:
            torch.save(self._begun.loader, folder / DATA)  # in place of verl's


def _cannot_save(error: Exception) -> bool:
    """Whether an error tells of something without which nothing can be saved."""
    if isinstance(error, ProcessDied):
        return not error.only_rolled_out
    return isinstance(error, WaitError)  # for a worker that would also have to save
