"""AdaRFT in a train step: the target difficulty follows the reward, the questions follow the target.

Alone it is the source of questions, by difficulties that come with the data. Together with selection, which predicts
them, it only says at which difficulty the step aims.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig

from verl_dots.bridge.queue.rows import Rows
from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.checks import DIFFICULTY, refuse_adarft, refuse_adarft_questions
from verl_dots.methods.adarft.state import Target, TargetCurriculum
from verl_dots.methods.hooks import Source, Stage
from verl_dots.methods.run import Run
from verl_dots.state import require_equal, require_keys
from verl_dots.step import Step

SEED_STREAM = 2504_05520  # apart from every other generator that is seeded with dots.seed
METRICS = {
    "target": "target difficulty of the step, in the unit of the difficulties",
    "reward": "mean over the questions chosen at the target of their mean reward, which moves it",
}


class AdaRFTTarget(Stage):
    """The target of one run, where another source chooses the questions."""

    name = "adarft"
    METRICS = METRICS
    knows_questions = True
    refuse = staticmethod(refuse_adarft)
    refuse_questions = staticmethod(refuse_adarft_questions)

    def __init__(self, run: Run):
        super().__init__(run)
        self._target = Target(run.dots.adarft, run.steps)

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        return dots.adarft.enable and dots.selection.enable

    def target(self) -> float | None:
        return self._target.value

    def begin(self, step: Step) -> None:
        self._figures = {"adarft/target": self._target.value}

    def observe(self, step: Step, rows: Rows) -> None:
        """Move the target by the mean reward of the questions that were chosen at it (section 3.2).

        Each counts once: where the hard ones have more rollouts, these would have the target fall of itself. Questions
        that were drawn uniformly say nothing of the target: those of a uniform round, and reused references, which
        moreover were kept because their rewards differ.
        """
        reward = step.mean_reward if step.aimed else None
        if reward is not None:
            self._figures["adarft/reward"] = reward
        self._target.follow(reward, step.number)

    def state_dict(self) -> dict[str, Any]:
        return {"target": self._target.state_dict(), "curriculum": None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("AdaRFT", state, {"target", "curriculum"})
        require_equal("dots.selection.enable", state["curriculum"] is None, True)
        self._target.load_state_dict(state["target"])


class AdaRFT(AdaRFTTarget, Source):
    """AdaRFT as the source of questions, those nearest to its target.

    Raises:
        QuestionError: a question without difficulty.
        ValueError: too few questions within dots.adarft.within.
    """

    METRICS = METRICS | {
        "difficulty": "mean difficulty of the questions that were rolled out, from the data",
        "covered": "share of the questions that had their turn, with dots.adarft.coverage",
    }

    def __init__(self, run: Run):
        super().__init__(run)
        difficulty_P = run.questions.numbers(run.dots.adarft.difficulty, DIFFICULTY)
        self.curriculum = TargetCurriculum(self._target, difficulty_P, run.fresh, run.rng(SEED_STREAM))

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        return dots.adarft.enable and not dots.selection.enable

    def target(self) -> float | None:
        """None: its unit is that of the data, which is no adaptive difficulty."""
        return None

    def plan(self, step: Step) -> np.ndarray:
        return self.curriculum.planned()

    def top_up(self, step: Step, count: int, exclude: Collection[int]) -> np.ndarray:
        return self.curriculum.top_up(count, exclude)

    def observe(self, step: Step, rows: Rows) -> None:
        super().observe(step, rows)
        if chosen := [group.question for group in step.new]:
            self._figures["adarft/difficulty"] = float(self.curriculum.difficulty_P[chosen].mean())
            self._figures["adarft/covered"] = self.curriculum.covered

    def state_dict(self) -> dict[str, Any]:
        return {"target": self._target.state_dict(), "curriculum": self.curriculum.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        require_keys("AdaRFT", state, {"target", "curriculum"})
        require_equal("dots.selection.enable", state["curriculum"] is None, False)
        self._target.load_state_dict(state["target"])
        self.curriculum.load_state_dict(state["curriculum"])
