"""AdaRFT in a train step: the target difficulty follows the reward, the questions follow the target.

Alone it chooses the questions, by difficulties that come with the data. Together with selection, which predicts them,
the target takes the place of dots.selection.alpha.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from verl_dots.bridge.groups import Group
from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.state import Target, TargetCurriculum
from verl_dots.methods.selection.stage import SelectionStage
from verl_dots.state import require_equal, require_keys
from verl_dots.training.train_questions import TrainQuestions

SEED_STREAM = 2504_05520  # apart from every other generator that is seeded with dots.seed


class AdaRFTStage:
    """AdaRFT for one run of the trainer.

    Args:
        dots: the settings.
        questions: of the data set.
        fresh: questions that a step rolls out.
        steps: of the whole run.
        selection: chooses the questions, if there is one.

    Raises:
        QuestionError: a question without difficulty.
        ValueError: too few questions within dots.adarft.within.
    """

    def __init__(
        self, dots: DotsConfig, questions: TrainQuestions, fresh: int, steps: int, selection: SelectionStage | None
    ):
        self.questions, self.selection = questions, selection
        self.target = Target(dots.adarft, steps)
        self.curriculum: TargetCurriculum | None = None
        if selection is None:
            rng = np.random.default_rng([dots.seed, SEED_STREAM])
            self.curriculum = TargetCurriculum(self.target, questions.difficulties(dots.adarft.difficulty), fresh, rng)
        self._aim()

    def planned(self) -> np.ndarray:
        """The questions to roll out in this step."""
        return self.curriculum.planned()

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""
        return self.curriculum.top_up(count, exclude)

    def observe(self, groups: Mapping[str, Group], question_of: Mapping[str, int], step: int) -> dict[str, float]:
        """Move the target on after a step, and return its figures.

        Args:
            groups: this step's own.
            question_of: question of each uid that was rolled out in this step.
            step: this one.
        """
        reward = float(np.mean([reward for group in groups.values() for reward in group.rewards]))
        metrics = {"adarft/target": self.target.value, "adarft/reward": reward}
        if self.curriculum:
            chosen = [question for uid, question in question_of.items() if uid in groups]
            metrics["adarft/difficulty"] = float(self.curriculum.difficulty_P[chosen].mean())
            metrics["adarft/covered"] = self.curriculum.covered
        self.target.follow(reward, step)
        self._aim()
        return metrics

    def _aim(self) -> None:
        if self.selection:
            self.selection.curriculum.alpha = self.target.value

    # --- checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Target and curriculum."""
        curriculum = self.curriculum.state_dict() if self.curriculum else None
        return {"target": self.target.state_dict(), "curriculum": curriculum}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError."""
        require_keys("AdaRFT", state, {"target", "curriculum"})
        require_equal("dots.selection.enable", state["curriculum"] is None, self.curriculum is None)
        self.target.load_state_dict(state["target"])
        if self.curriculum:
            self.curriculum.load_state_dict(state["curriculum"])
        self._aim()
