"""E3 in a train step: rollouts of each question by how it has done, a temperature that holds the entropy, and a penalty
on long responses to easy questions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.queue.temperatures import computed_temperature
from verl_dots.methods.e3.budget_state import RolloutBudget
from verl_dots.methods.e3.checks import (
    refuse_budget,
    refuse_length_penalty,
    refuse_length_penalty_questions,
    refuse_temperature,
)
from verl_dots.methods.e3.length_penalty_rule import easiest, penalised
from verl_dots.methods.e3.question_rewards import EpochRewards
from verl_dots.methods.e3.temperature_state import TemperatureController, remembering_no_rounding
from verl_dots.methods.entropy import own_temperature, token_entropy
from verl_dots.methods.hooks import Stage
from verl_dots.methods.run import Run, Scores
from verl_dots.step import Step, columns

QUANTILES = (10, 50, 90)


class Budget(Stage):
    """Rollouts of each question for one run of the trainer."""

    name = "budget"
    METRICS = {
        "rollouts/min": "rollouts of the chosen question with the fewest; absent where references alone are trained on",
        "rollouts/max": "rollouts of the chosen question with the most; absent likewise",
        "rollouts/std": "standard deviation over the chosen questions",
        **{f"rollouts/p{share}": f"least number that {share} % of these do not exceed" for share in QUANTILES},
        "rollouts/least": "fewest that the epoch's caps allow; absent where the rollouts were sampled in another step",
        "rollouts/most": "most that they allow; absent likewise",
        "epoch": "epochs of rollouts so far, by which the caps widen",
    }
    knows_questions = True
    unequal_groups = True
    refuse = staticmethod(refuse_budget)

    def __init__(self, run: Run):
        super().__init__(run)
        settings = run.dots.budget
        self.by_prediction = settings.by == "predicted"
        caps = (settings.least, settings.most)
        self.budget = RolloutBudget(len(run.questions), run.rollout.n, caps, settings.widen, settings.remainder)

    def sizes(self, step: Step, questions_B: np.ndarray) -> np.ndarray:
        """[B] rollouts, n * B in total; a question that the source has not predicted counts as of difficulty 0.5."""
        if not self.by_prediction:
            return self.budget.allocate(questions_B)
        difficulty_B = np.array([step.predicted.get(question, 0.5) for question in questions_B.tolist()])
        return self.budget.allocate_by(np.clip(difficulty_B, 1e-3, None))

    def observe(self, step: Step, rows: Rows) -> None:
        """Take in the groups of the questions that were chosen."""
        if not step.chosen:
            return
        least, most = self.budget.caps
        questions_N, rewards_N, size_N = columns(step.chosen)
        self.budget.observe(questions_N, rewards_N, size_N)
        figures = {"min": size_N.min(), "max": size_N.max(), "std": size_N.std()}
        if all(group.sampled == step.number for group in step.chosen):
            figures |= {"least": least, "most": most}
        quantiles = np.percentile(size_N, QUANTILES, method="inverted_cdf")  # each the size of a group
        figures |= {f"p{share}": quantile for share, quantile in zip(QUANTILES, quantiles, strict=True)}
        self._figures = {f"budget/rollouts/{name}": float(value) for name, value in figures.items()}
        self._figures["budget/epoch"] = float(self.budget.epoch)

    def state_dict(self) -> dict[str, Any]:
        """Rewards, so far and of the epoch."""
        return self.budget.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.budget.load_state_dict(state)


class Temperature(Stage):
    """The controlled temperature for one run of the trainer."""

    name = "temperature"
    METRICS = {
        "temperature": "sampling temperature of the step",
        "entropy": "mean entropy of its own rollouts' tokens at the temperature that they were sampled at, in nats; a "
        "token weighs 1 / rollouts of its question",
        "target": "entropy that the controller holds, in nats",
    }
    STATE_VERSION = 2
    MIGRATIONS = {1: remembering_no_rounding}
    refuse = staticmethod(refuse_temperature)

    def __init__(self, run: Run):
        super().__init__(run)
        self.measured = run.dots.temperature.entropy
        initial = float(run.rollout.temperature)
        self.controller = TemperatureController(run.dots.temperature, initial, run.vocabulary, run.steps)

    def begin(self, step: Step) -> None:
        """Set the temperature of the step: a number that trainer and engine both can take."""
        super().begin(step)
        step.temperature = computed_temperature(self.run.config, self.controller.value)
        self.controller.rounded_to(step.temperature)
        self.run.trainer.set_temperature(step.temperature)

    def observe(self, step: Step, rows: Rows) -> None:
        """Take in the entropy of the step's own rollouts, after the forward pass at its temperature if there is one.

        Where all of these have failed there is none, and the temperature stays.
        """
        entropy = token_entropy(rows, self.measured)
        if entropy is None:
            return
        # From the controller's own numbers: moves that are smaller than what the trainer tells apart add up.
        sampled_at = own_temperature(rows, self.controller.value, self.controller.unrounded)
        figures = self.controller.observe(entropy, step.number, sampled_at)
        figures["temperature"] = step.temperature
        self._figures = {f"temperature/{name}": value for name, value in figures.items()}

    def state_dict(self) -> dict[str, Any]:
        """The controller."""
        return self.controller.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.controller.load_state_dict(state)


class LengthPenalty(Stage):
    """The length penalty for one run of the trainer."""

    name = "length_penalty"
    METRICS = {
        "share": "share of the rows whose reward the penalty lowers",
        "mean": "mean of what these lose",
    }
    knows_questions = True
    refuse = staticmethod(refuse_length_penalty)
    refuse_questions = staticmethod(refuse_length_penalty_questions)

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings, self.reward_range = run.dots.length_penalty, run.dots.reward_range
        self.rewarded = EpochRewards(len(run.questions), run.rollout.n)
        self._easy_P = np.zeros(len(run.questions), dtype=bool)  # in this step

    def begin(self, step: Step) -> None:
        """Name the easiest questions, before what the step itself shows of them."""
        super().begin(step)
        of_epoch = self.settings.ranked == "epoch"
        mean_P = self.rewarded.mean_P if of_epoch else self.rewarded.seen.mean_P
        self._easy_P = easiest(mean_P, self.settings.easiest)

    def observe(self, step: Step, rows: Rows) -> None:
        """Take in the rewards of the questions that were chosen, without the penalty, for later steps."""
        if step.chosen:
            self.rewarded.observe(*columns(step.chosen))

    def rewards(self, step: Step, scores: Scores) -> np.ndarray:
        """[N] rewards, lower for long right responses to the easiest questions."""
        penalised_N = penalised(scores.reward_N, scores.length_N, self.settings.strength, *self.reward_range)
        easy_N = (scores.question_N >= 0) & self._easy_P[scores.question_N]
        return np.where(easy_N, penalised_N, scores.reward_N)

    def state_dict(self) -> dict[str, Any]:
        """Rewards of the questions, so far and of the epoch."""
        return self.rewarded.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.rewarded.load_state_dict(state)
