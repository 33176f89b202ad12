"""E3 in a train step: rollouts of each question by how it has done, and a temperature that holds the entropy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.algorithms.budget import allocate
from verl_dots.config import DotsConfig
from verl_dots.curriculum.budget import RolloutBudget
from verl_dots.curriculum.temperature import TemperatureController
from verl_dots.integration.groups import Group
from verl_dots.integration.selection_stage import SelectionStage
from verl_dots.integration.train_questions import TrainQuestions
from verl_dots.state import load_state, require_equal, require_keys, save_state

BUDGET_FILE = "budget.safetensors"
TEMPERATURE_FILE = "temperature.safetensors"


class BudgetStage:
    """Rollouts of each question for one run of the trainer.

    Args:
        dots: the settings.
        questions: of the data set.
        n: rollouts of a question on average.
        selection: predicts difficulties, if dots.budget.by=predicted.
    """

    def __init__(self, dots: DotsConfig, questions: TrainQuestions, n: int, selection: SelectionStage | None):
        settings = dots.budget
        self.questions, self.selection = questions, selection if settings.by == "predicted" else None
        self.budget = RolloutBudget(len(questions), n, (settings.least, settings.most), settings.widen)
        self._least_reward = dots.reward_range[0]
        self._figures: dict[str, float] = {}

    def sizes(self, questions_B: np.ndarray) -> np.ndarray:
        """[B] rollouts of the questions of this step, n * B in total."""
        if self.selection:
            rank_B = np.clip(self.selection.predicted(questions_B), 1e-3, None)
            sizes_B = allocate(rank_B, self.budget.n, *self.budget.caps)
        else:
            sizes_B = self.budget.allocate(questions_B)
        least, most = self.budget.caps
        self._figures = {"min": float(sizes_B.min()), "max": float(sizes_B.max()), "std": float(sizes_B.std())}
        self._figures |= {"least": float(least), "most": float(most)}
        return sizes_B

    def observe(self, groups: Mapping[str, Group], question_of: Mapping[str, int]) -> dict[str, float]:
        """Take in this step's own groups, and return the metrics of the budget.

        Args:
            groups: this step's own.
            question_of: question of each of their uids.
        """
        known = [(question_of[uid], group) for uid, group in groups.items() if uid in question_of]
        questions, found = zip(*known, strict=True)
        rewards = np.array([group.mean_reward for group in found])
        self.budget.observe(np.array(questions), rewards, np.array([group.size for group in found]))
        all_wrong = np.mean([max(group.rewards) <= self._least_reward for group in found])
        metrics = {f"budget/rollouts/{name}": value for name, value in self._figures.items()}
        return metrics | {"budget/all_wrong": float(all_wrong), "budget/epoch": float(self.budget.epoch)}

    def save(self, folder: Path) -> None:
        """Write rewards, ranks and epoch."""
        state = {"fingerprint": self.questions.known.fingerprint, "budget": self.budget.state_dict()}
        save_state(folder / BUDGET_FILE, "budget", state)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote. Raises StateError where it is missing, damaged, or of other questions."""
        state = load_state(folder / BUDGET_FILE, "budget")
        require_keys(str(folder / BUDGET_FILE), state, {"fingerprint", "budget"})
        require_equal("fingerprint of the training questions", state["fingerprint"], self.questions.known.fingerprint)
        self.budget.load_state_dict(state["budget"])


class TemperatureStage:
    """The controlled temperature for one run of the trainer.

    Args:
        dots: the settings.
        config: verl's settings of the rollout; its temperature is the step's, wherever verl reads it.
        vocabulary: tokens of the policy.
        steps: of the whole run.
    """

    def __init__(self, dots: DotsConfig, config: Any, vocabulary: int, steps: int):
        self.config = config
        self.controller = TemperatureController(dots.temperature, float(config.temperature), vocabulary, steps)

    def apply(self) -> float:
        """Set the temperature of the step that begins, and return it."""
        self.config.temperature = self.controller.value
        return self.controller.value

    def observe(self, entropy: float, step: int) -> dict[str, float]:
        """Take in the entropy of a step, and return the metrics of the controller."""
        return {f"temperature/{name}": value for name, value in self.controller.observe(entropy, step).items()}

    def save(self, folder: Path) -> None:
        """Write the controller."""
        save_state(folder / TEMPERATURE_FILE, "temperature", self.controller.state_dict())

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote. Raises StateError where it is missing or damaged."""
        self.controller.load_state_dict(load_state(folder / TEMPERATURE_FILE, "temperature"))
