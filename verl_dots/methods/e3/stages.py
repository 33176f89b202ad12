"""E3 in a train step: rollouts of each question by how it has done, a temperature that holds the entropy, and a penalty
on long responses to easy questions.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.core_algos import agg_loss

from verl_dots.bridge.groups import Group, place_of
from verl_dots.bridge.rows import real_rows, unstored_rows
from verl_dots.config import DotsConfig
from verl_dots.methods.e3.budget_rule import allocate
from verl_dots.methods.e3.budget_state import RolloutBudget
from verl_dots.methods.e3.length_penalty_rule import easiest, penalised
from verl_dots.methods.e3.question_rewards import QuestionRewards
from verl_dots.methods.e3.temperature_state import TemperatureController
from verl_dots.methods.selection.stage import SelectionStage
from verl_dots.training.train_questions import TrainQuestions


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

    def sizes(self, questions_B: np.ndarray) -> np.ndarray:
        """[B] rollouts of the questions of this step, n * B in total."""
        if self.selection:
            rank_B = np.clip(self.selection.predicted(questions_B), 1e-3, None)
            sizes_B = allocate(rank_B, self.budget.n, *self.budget.caps)
        else:
            sizes_B = self.budget.allocate(questions_B)
        return sizes_B

    def observe(self, groups: Mapping[str, Group], question_of: Mapping[str, int]) -> dict[str, float]:
        """Take in this step's own groups, and return the metrics of the budget.

        Args:
            groups: this step's own.
            question_of: question of each of their uids.
        """
        caps = self.budget.caps  # that these were sampled within
        questions_N, rewards_N, size_N = _columns(groups, question_of)
        self.budget.observe(questions_N, rewards_N, size_N)
        figures = {"min": size_N.min(), "max": size_N.max(), "std": size_N.std(), "least": caps[0], "most": caps[1]}
        metrics = {f"budget/rollouts/{name}": float(value) for name, value in figures.items()}
        return metrics | {"budget/epoch": float(self.budget.epoch)}

    def state_dict(self) -> dict[str, Any]:
        """Rewards, ranks and epoch."""
        return self.budget.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError."""
        self.budget.load_state_dict(state)


def token_entropy(batch: KVBatchMeta, measured: str) -> float:
    """Mean entropy of a response token, in nats, of the rows that are no padding.

    verl's actor/entropy is taken as the loss is: with another loss_agg_mode than token-mean it is no mean over tokens.

    Args:
        measured: "recomputed" or "engine", see `TemperatureConfig.entropy`.
    """
    part = real_rows(batch)
    name = "entropy" if measured == "recomputed" else "rollout_log_probs"
    names = [name, "response_mask"]
    found = tq.kv_batch_get(keys=part.keys, partition_id=part.partition_id, select_fields=names).to_padded_tensor()
    entropy_NT = found[name] if measured == "recomputed" else -found[name].clamp(max=0)  # above 0 by rounding alone
    return float(agg_loss(entropy_NT, found["response_mask"], loss_agg_mode="token-mean"))


class TemperatureStage:
    """The controlled temperature for one run of the trainer.

    Args:
        dots: the settings.
        config: verl's settings of the rollout; its temperature is the step's, wherever verl reads it.
        vocabulary: tokens of the policy.
        steps: of the whole run.
    """

    def __init__(self, dots: DotsConfig, config: Any, vocabulary: int, steps: int):
        self.config, self.measured = config, dots.temperature.entropy
        self.controller = TemperatureController(dots.temperature, float(config.temperature), vocabulary, steps)

    def apply(self) -> float:
        """Set the temperature of the step that begins, and return it."""
        self.config.temperature = self.controller.value
        return self.controller.value

    def observe(self, batch: KVBatchMeta, step: int) -> dict[str, float]:
        """Take in the entropy of this step's own rollouts, and return the metrics of the controller.

        Args:
            batch: the train batch, after the forward pass at the step's temperature, if there is one.
            step: this one.
        """
        entropy = token_entropy(unstored_rows(batch), self.measured)
        return {f"temperature/{name}": value for name, value in self.controller.observe(entropy, step).items()}

    def state_dict(self) -> dict[str, Any]:
        """The controller."""
        return self.controller.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError."""
        self.controller.load_state_dict(state)


class LengthPenaltyStage:
    """The length penalty for one run of the trainer.

    Args:
        dots: the settings.
        questions: of the data set.
    """

    def __init__(self, dots: DotsConfig, questions: TrainQuestions):
        self.settings, self.reward_range, self.questions = dots.length_penalty, dots.reward_range, questions
        self.rewards = QuestionRewards(len(questions))

    def observe(self, groups: Mapping[str, Group], question_of: Mapping[str, int]) -> dict[str, float]:
        """Take in this step's own groups; see `BudgetStage.observe`."""
        self.rewards.observe(*_columns(groups, question_of))
        return {}

    @contextmanager
    def applied(self, batch: KVBatchMeta, question_of: Mapping[str, int], metrics: dict) -> Iterator[None]:
        """Rewards of the batch with the penalty for as long as advantages are computed; its figures go to `metrics`.

        Args:
            batch: the train batch, with rewards.
            question_of: question of each of its uids.
            metrics: of the step.
        """
        easy_P = easiest(self.rewards.mean_P, self.settings.easiest)
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["rm_scores"])
        scores = found["rm_scores"].unbind()
        reward_N = np.array([float(score_T.sum()) for score_T in scores])
        length_N = np.array([len(score_T) for score_T in scores])
        real = [not tag.get("is_padding", False) for tag in batch.tags]
        uids = [place_of(key)[0] for key in batch.keys]
        easy_N = np.array([one and easy_P[question_of[uid]] for uid, one in zip(uids, real, strict=True)])
        less_N = (reward_N - penalised(reward_N, length_N, self.settings.strength, *self.reward_range)) * easy_N
        rows = [score_T.clone() for score_T in scores]
        for row_T, less in zip(rows, less_N, strict=True):
            row_T[-1] -= less
        metrics["length_penalty/share"] = float((less_N > 0).mean())
        metrics["length_penalty/mean"] = float(less_N[less_N > 0].mean()) if (less_N > 0).any() else 0.0
        self._write(batch, rows)
        yield
        self._write(batch, scores)

    @staticmethod
    def _write(batch: KVBatchMeta, rows: Any) -> None:
        fields = TensorDict({"rm_scores": torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)}, len(batch))
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=fields)

    def state_dict(self) -> dict[str, Any]:
        """The rewards of the questions."""
        return self.rewards.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError."""
        self.rewards.load_state_dict(state)


def _columns(groups: Mapping[str, Group], question_of: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N] question, mean reward and size of each group."""
    questions_N = np.array([question_of[uid] for uid in groups])
    rewards_N = np.array([group.mean_reward for group in groups.values()])
    return questions_N, rewards_N, np.array([group.size for group in groups.values()])
