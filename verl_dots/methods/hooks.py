"""What a method can do in a train step: three roles, and hooks that do nothing unless a method fills them.

A `Source` says which questions a step rolls out; a run has exactly one. A `Store` keeps rollouts for later steps; a run
has at most one. Every other part of a method is a `Stage`. All three have the same hooks; the trainer's
`_step_once` shows when each is called. A stage keeps to its own state and to the step that it is handed; none writes
another's fields.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from omegaconf import DictConfig

from verl_dots.bridge.queue.rows import Rows
from verl_dots.config import DotsConfig
from verl_dots.data.questions import Questions
from verl_dots.methods.run import Run, Scores
from verl_dots.state import Kind, Migration
from verl_dots.step import Step

# Takes rows, writes a field of them, and adds its figures to the metrics.
Forward = Callable[[Rows, dict], None]


class Stage:
    """A part of a method.

    Attributes:
        name: its group of settings (`dots.NAME`), its file in a checkpoint (`NAME.safetensors`), and the prefix of its
            metrics (`NAME/`).
        METRICS: what it reports, name (without the prefix) -> description.
        knows_questions: whether it must know the question of each group.
        unequal_groups: whether groups of different sizes can meet in a batch because of it.
        own_loss: whether the actor's loss reads what it writes to the rows.
        STATE_VERSION: of what `state_dict` returns, see `verl_dots.state.Kind`; another one where that changes.
        MIGRATIONS: what brings {"questions": fingerprint, "state": state_dict} of each earlier version to the next.
    """

    name: ClassVar[str]
    METRICS: ClassVar[Mapping[str, str]] = {}
    knows_questions: ClassVar[bool] = False
    unequal_groups: ClassVar[bool] = False
    own_loss: ClassVar[bool] = False
    STATE_VERSION: ClassVar[int] = 1
    MIGRATIONS: ClassVar[Mapping[int, Migration]] = {}

    def __init__(self, run: Run):
        self.run = run
        self._figures: dict[str, float] = {}  # of the step, with the stage's prefix

    @classmethod
    def state_kind(cls) -> Kind:
        """Of its file in a checkpoint."""
        return Kind(cls.name, cls.STATE_VERSION, cls.MIGRATIONS)

    # --- before a run ----------------------------------------------------------------------------------------

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        """Whether a run with these settings has the stage."""
        return getattr(dots, cls.name).enable

    @classmethod
    def refuse(cls, config: DictConfig, dots: DotsConfig) -> None:
        """Raise ConfigError for settings that could only fail, or mislead, after the start; return where it is off."""

    @classmethod
    def refuse_questions(cls, config: DictConfig, dots: DotsConfig, questions: Questions, usable: int) -> None:
        """The same for the questions of the data, of which `usable` are trained on."""

    @classmethod
    def written_folders(cls, config: DictConfig) -> Sequence[str]:
        """Keys of the folders that it writes into beside the run's own."""
        return ()

    @classmethod
    def make(cls, run: Run) -> Self:
        """The stage of one run.

        Raises:
            ValueError: data or a model that it cannot work with.
        """
        return cls(run)

    # --- a step, in its order --------------------------------------------------------------------------------

    def target(self) -> float | None:
        """The adaptive difficulty that the next step's questions should have; None leaves dots.selection.alpha."""

    def begin(self, step: Step) -> None:
        """Before anything is rolled out: forget the figures of the step before."""
        self._figures = {}

    def sizes(self, step: Step, questions_B: np.ndarray) -> np.ndarray | None:
        """[B] rollouts of the questions of a batch, rollout.n * B in total; None leaves n for each."""

    def first_sizes(self, step: Step, uids: Sequence[str], sizes_N: np.ndarray) -> np.ndarray | None:
        """[N] rollouts that the groups of a step begin with, at most those that each is to have; None for all."""

    def arrived(self, step: Step, rows: Rows, source: "Source") -> Rows:
        """The rollouts are there and have their rewards, the engine is still awake: the rows to go on with."""
        return rows

    def sampled(self, step: Step, rows: Rows) -> Rows:
        """Once all rollouts are there: the rows that this step trains on."""
        return rows

    def complete(self, step: Step, rows: Rows) -> None:
        """The batch is whole and in its order; no forward pass has been made."""

    def forward(self, step: Step, field: str, inner: Forward, rows: Rows, metrics: dict) -> None:
        """Around the forward pass that writes `field` of all rows; `inner` makes it of those that it is given."""
        inner(rows, metrics)

    def rewards(self, step: Step, scores: Scores) -> np.ndarray | None:
        """[N] rewards that advantages are computed of; None leaves them. Changes nothing."""

    def observe(self, step: Step, rows: Rows) -> None:
        """Take in what the step's groups show, before the update."""

    def reduce(self, step: Step, rows: Rows) -> Rows:
        """The rows that the actor is updated with."""
        return rows

    def metrics(self, step: Step) -> dict[str, float]:
        """Figures of the step, once it is done, with the stage's prefix."""
        return self._figures

    def give_up(self, step: Step, rows: Rows) -> None:
        """Take whole groups out of the step and out of the queue; what they have shown stays in the step.

        For stages with the metric `dropped_tokens`.
        """
        step.dropped += rows.groups(step.question_of).values()
        step.other_tokens += rows.tokens
        step.other_rollouts += rows.rollouts
        figure = f"{self.name}/dropped_tokens"
        self._figures[figure] = self._figures.get(figure, 0.0) + rows.tokens
        rows.clear()

    # --- checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any] | None:
        """Everything that later steps depend on, see `verl_dots.state`; None where nothing is remembered."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, or raise StateError: the run then ends."""


class Source(Stage):
    """Where the questions of a step come from."""

    @classmethod
    def on_conflict(cls, dots: DotsConfig) -> str:
        """What is done about a prompt with several answers, see `questions_of`."""
        return "keep"

    def plan(self, step: Step) -> np.ndarray | None:
        """The next batch's questions to roll out: delta * B, less those of which rollouts are there.

        None leaves verl's own order of the data, of which no stage knows the questions.
        """
        raise NotImplementedError

    def top_up(self, step: Step, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further questions, none of the excluded."""
        raise NotImplementedError


class Store(Stage):
    """What keeps rollouts for later steps. It keeps text alone."""

    knows_questions = True

    def __init__(self, run: Run):
        if not run.text_only:
            raise ValueError(
                f"dots.{self.name}.enable=True keeps text alone, and this model has a processor for images or video; "
                f"turn {self.name} off"
            )
        super().__init__(run)

    @classmethod
    def fresh(cls, dots: DotsConfig, batch_size: int) -> int:
        """Questions that a step rolls out on average."""
        return batch_size

    def samples_next(self) -> bool:
        """Whether the next step rolls out anything; to be asked after a step."""
        return True

    def fill(self, step: Step, source: Source) -> Sequence[np.ndarray]:
        """Put kept rollouts into the step; the batches of questions to roll out beside them, which may be none."""
        raise NotImplementedError
