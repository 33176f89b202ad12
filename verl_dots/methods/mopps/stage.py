"""MoPPS in a train step: the questions of a step by the posterior of each one's success rate."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.hooks import Source
from verl_dots.methods.mopps.checks import REFERENCE, refuse_mopps, refuse_mopps_questions
from verl_dots.methods.mopps.state import MoPPSState
from verl_dots.methods.run import Run
from verl_dots.step import Step, columns, difficulty

SEED_STREAM = 2507_04632  # apart from every other generator that is seeded with dots.seed


class MoPPS(Source):
    """MoPPS for one run of the trainer."""

    name = "mopps"
    METRICS = {
        "predicted_difficulty": "mean difficulty of the step's questions, by their posteriors before the step",
        "measured_difficulty": "mean difficulty that their rollouts showed",
        "rho": "Pearson correlation of the two",
        "covered": "share of the questions that have been measured",
        "capability": "place of the policy between the models of dots.mopps.reference: 0 at the weaker, 1 at the other",
    }
    knows_questions = True
    refuse = staticmethod(refuse_mopps)
    refuse_questions = staticmethod(refuse_mopps_questions)

    def __init__(self, run: Run):
        super().__init__(run)
        settings = run.dots.mopps
        rates = [run.questions.numbers(field, REFERENCE) for field in settings.reference or ()]
        reference_P2 = np.stack(rates, axis=1) if rates else None
        self.state = MoPPSState(settings, len(run.questions), run.fresh, run.rng(SEED_STREAM), reference_P2)

    def target(self) -> float | None:
        return self.run.dots.mopps.target

    def plan(self, step: Step) -> np.ndarray:
        batch = self.state.planned(step.target)
        known = batch[self.state.measured(batch)]  # of the others there is a prior alone
        step.predicted = dict(zip(known.tolist(), self.state.predicted(known).tolist(), strict=True))
        return batch

    def top_up(self, step: Step, count: int, exclude: Collection[int]) -> np.ndarray:
        return self.state.top_up(count, exclude, step.target)

    def observe(self, step: Step, rows: Rows) -> None:
        """Move the posteriors by the step's new groups."""
        if not step.new:
            return
        questions_N, _, sizes_N = columns(step.new)
        reward_range = self.run.dots.reward_range
        success_N = 1 - np.array([difficulty(group.mean_reward, reward_range, group.uid) for group in step.new])
        figures = self.state.observe(questions_N, success_N, sizes_N)
        self._figures = {f"mopps/{name}": value for name, value in figures.items()}

    def state_dict(self) -> dict[str, Any]:
        """The posteriors and their generator."""
        return self.state.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.state.load_state_dict(state)
