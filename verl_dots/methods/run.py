"""What a stage is made of and works with: its run, what it may ask the trainer for, and what comes of that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from omegaconf import DictConfig

from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.rows import Rows
from verl_dots.config import DotsConfig
from verl_dots.step import Step


@dataclass
class References:
    """Rollouts of questions in a partition of their own.

    Attributes:
        rows: of the complete groups.
        uids: of these groups, in the order of the questions.
        complete_K: bool, which questions have a complete group.
        dropped_tokens: of the groups of which rollouts failed.
        dropped_rollouts: of these groups, those that came.
    """

    rows: Rows
    uids: list[str]
    complete_K: np.ndarray
    dropped_tokens: int = 0
    dropped_rollouts: int = 0


class Rollouts(Protocol):
    """What a stage may ask the trainer for."""

    def roll_out_references(self, step: Step, questions_K: np.ndarray) -> References:
        """Roll out questions apart from the step's own batch; see `References`."""

    def roll_out_more(self, step: Step, questions_N: np.ndarray, whole: Mapping[str, int] | None = None) -> Rows:
        """Roll out further questions for the step's own batch, and the rest of groups that have begun.

        Args:
            questions_N: each becomes a group of its own.
            whole: uid -> rollouts that a group of the step is to have in all, more than it has.

        Returns: the rows of all these groups that are complete, once they are there; of begun ones the first, too.
        """

    def forward(self, field: str, rows: Rows, metrics: dict) -> None:
        """verl's forward pass over rows, which writes `field`: "old_log_probs" or "ref_log_prob"."""

    def next_question(self) -> int:
        """The number of the data loader's next question."""

    def set_temperature(self, temperature: float) -> None:
        """The temperature of the step's rollouts, for the engine and wherever verl reads it."""

    def set_entropy_coefficient(self, coefficient: float) -> None:
        """The coefficient of the entropy bonus in the actor's next update."""


@dataclass
class Run:
    """What a stage is made of.

    Attributes:
        dots: the settings.
        config: verl's, of the whole run.
        questions: of the data set; None where no method needs to know them.
        steps: of the whole run.
        fresh: questions that a step rolls out; the store gives the others.
        ranks: data-parallel ranks of the actor.
        vocabulary: tokens of the policy.
        tokens: ids that a response may have are below it, as some models know more than their tokenizer; None for the
            vocabulary.
        resumed: step of the checkpoint that the run resumes from; None where there is none.
        text_only: whether the model takes text alone.
        trainer: gives rollouts and forward passes.
        resources: verl's pool of the trainer's devices, for workers of a method's own.
        news: told what the start of a method waits for, as often as that comes on: the run then waits on.
    """

    dots: DotsConfig
    config: DictConfig
    questions: TrainQuestions | None
    steps: int
    fresh: int
    ranks: int = 1
    vocabulary: int = 0
    tokens: int | None = None
    resumed: int | None = None
    text_only: bool = True
    trainer: Rollouts | None = None
    resources: Any = None
    news: Callable[[str], None] = lambda what: None

    @property
    def batch_size(self) -> int:
        """B, questions of a train batch."""
        return self.config.data.train_batch_size

    @property
    def rollout(self) -> Any:
        """verl's settings of the rollout."""
        return self.config.actor_rollout_ref.rollout

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of the run's seed, apart from those of other streams."""
        return np.random.default_rng([self.dots.seed, stream])


@dataclass(frozen=True)
class Scores:
    """What a reward can depend on, one value a row.

    Attributes:
        reward_N: as the reward function gave it.
        length_N: tokens of the response.
        question_N: number of the question; -1 for rows that only pad the batch.
    """

    reward_N: np.ndarray
    length_N: np.ndarray
    question_N: np.ndarray
