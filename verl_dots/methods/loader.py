"""The data loader as a source of questions: verl's own order."""

from collections.abc import Collection

import numpy as np
from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.hooks import Source
from verl_dots.methods.run import Run
from verl_dots.step import Step


class DataLoader(Source):
    """Questions in the order of verl's data loader.

    Where a stage must know them they come one by one; else verl's batches stay as they are.
    """

    name = "loader"

    def __init__(self, run: Run):
        super().__init__(run)
        self.one_by_one = run.questions is not None

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        """Where no other source is."""
        return False

    def plan(self, step: Step) -> np.ndarray | None:
        """The next ones; where an epoch ends in the middle, a question that is among them already is passed over."""
        return self.top_up(step, self.run.fresh, ()) if self.one_by_one else None

    def top_up(self, step: Step, count: int, exclude: Collection[int]) -> np.ndarray:
        """The next ones that are not excluded; those are passed over, for they are in the batch already."""
        seen, found = set(exclude), []
        for _ in range(count + 2 * self.run.questions.rows):
            if len(found) == count:
                break
            number = self.run.trainer.next_question()
            if number not in seen:
                seen.add(number)
                found.append(number)
        return np.array(found, dtype=np.int64)
