"""What verl_dots adds to a train step, as far as it is enabled, in the order of the step."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from transfer_queue import KVBatchMeta
from verl.utils.debug import marked_timer

from verl_dots.bridge.groups import Group
from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.stage import AdaRFTStage
from verl_dots.methods.dash.preemptive_stage import PreemptiveStage
from verl_dots.methods.e3.stages import BudgetStage, LengthPenaltyStage, TemperatureStage
from verl_dots.methods.replay.loss_stage import Forward
from verl_dots.methods.replay.stage import ReplayStage
from verl_dots.methods.selection.rule import fresh_count
from verl_dots.methods.selection.stage import SelectionStage
from verl_dots.state import Stateful
from verl_dots.training.stage_files import NAMES, load_stages, save_stages
from verl_dots.training.train_questions import DataloaderQuestions, FreshQuestions, TrainQuestions

logger = logging.getLogger(__name__)


class Stages:
    """The stages of one run of the trainer.

    Args:
        trainer: verl's, with its data set and workers set up.
        dots: the settings.

    Raises:
        QuestionError, ValueError: data or a model that an enabled stage cannot work with.
    """

    def __init__(self, trainer: Any, dots: DotsConfig):
        self.trainer, self._alpha = trainer, dots.selection.alpha
        self.questions: TrainQuestions | None = None
        self.selection: SelectionStage | None = None
        self.adarft: AdaRFTStage | None = None
        self.budget: BudgetStage | None = None
        self.temperature: TemperatureStage | None = None
        self.length_penalty: LengthPenaltyStage | None = None
        self.preemptive: PreemptiveStage | None = None
        self.replay: ReplayStage | None = None
        self._question_of: dict[str, int] = {}  # uid -> question, of what this step rolls out
        if dots.chooses_questions:
            on_conflict = dots.selection.conflicting_answers if dots.selection.enable else "keep"
            self.questions = TrainQuestions(trainer.train_dataset, trainer.config.data.prompt_key, on_conflict)
        if dots.selection.enable:
            self.selection = SelectionStage(trainer, dots, self.questions)
        batch_size = trainer.config.data.train_batch_size
        fresh = fresh_count(batch_size, dots.replay.delta) if dots.replay.enable else batch_size
        if dots.adarft.enable:
            self.adarft = AdaRFTStage(dots, self.questions, fresh, trainer.total_training_steps, self.selection)
        self._source: FreshQuestions | None = self.selection or self.adarft
        if dots.keeps_order:
            self._source = DataloaderQuestions(self.questions, trainer._fetch_one_gen_batch, fresh)
        rollout = trainer.config.actor_rollout_ref.rollout
        if dots.budget.enable:
            self.budget = BudgetStage(dots, self.questions, rollout.n, self.selection)
        if dots.temperature.enable:
            vocabulary = len(trainer.tokenizer)
            self.temperature = TemperatureStage(dots, rollout, vocabulary, trainer.total_training_steps)
        if dots.length_penalty.enable:
            self.length_penalty = LengthPenaltyStage(dots, self.questions)
        if dots.preemptive.off_policy(batch_size):
            passes = dots.preemptive.passes(batch_size)
            self._require_text("preemptive", batch_size // passes)
            steps = trainer.total_training_steps
            self.preemptive = PreemptiveStage(dots, self.questions, self._source, trainer.config, steps)
        if dots.replay.enable:
            self._require_text("replay", fresh)
            self.replay = ReplayStage(dots, self.questions, self._source, batch_size, rollout, self._target)

    def _target(self) -> float:
        """The adaptive difficulty that is aimed at now: AdaRFT's where it moves it."""
        return self.selection.curriculum.alpha if self.selection else self._alpha

    def _require_text(self, name: str, fresh: int) -> None:
        """What keeps rollouts needs a model of text, and rolls out `fresh` questions a step."""
        trainer, batch_size = self.trainer, self.trainer.config.data.train_batch_size
        if trainer.processor is not None:
            raise ValueError(
                f"dots.{name}.enable=True keeps text alone, and this model has a processor for images or video; turn "
                f"{name} off"
            )
        one_by_one = isinstance(self._source, DataloaderQuestions)
        if one_by_one and fresh < batch_size and trainer.config.trainer.total_training_steps is None:
            logger.warning(
                "a step rolls out about %d of its %d questions: verl counts %d steps as an epoch, in which not all "
                "questions come; trainer.total_training_steps sets the length of the run",
                fresh, batch_size, trainer.steps_per_epoch,
            )  # fmt: skip

    # --- a step, in its order --------------------------------------------------------------------------------

    def prepare(self, timing_raw: dict) -> dict[str, float]:
        """Set the step's temperature, plan a round of selection where one is due, and return its metrics."""
        if self.temperature:
            self.trainer.agent_loop_manager.temperature = self.temperature.apply()
        samples = self.preemptive is None or self.preemptive.cache.due
        return self.selection.prepare(timing_raw) if self.selection and samples else {}

    def choose(self, step: int, timing_raw: dict) -> list[np.ndarray] | None:
        """Questions to roll out in this step, batch by batch; None where verl's own order of the data holds."""
        if self.preemptive:
            with marked_timer("preemptive", timing_raw):
                chosen = self.preemptive.next_questions(step)
                self._question_of = {} if chosen or self.preemptive.again else self.preemptive.question_of
                return chosen
        if self.replay:
            with marked_timer("replay", timing_raw):
                return [self.replay.next_questions(step, list(self._reused().values()))]
        return [self._source.planned()] if self._source else None

    def sizes(self, chosen: Sequence[np.ndarray]) -> np.ndarray | None:
        """Rollouts of each chosen question, n * B for each batch; None where all have n."""
        return np.concatenate([self.budget.sizes(part) for part in chosen]) if self.budget else None

    def submitted(self, uids: Sequence[str], chosen: Sequence[np.ndarray]) -> None:
        """Which names the chosen questions have got."""
        self._question_of = dict(zip(map(str, uids), np.concatenate(chosen).tolist(), strict=True))
        if self.preemptive:
            self.preemptive.submitted(uids, chosen)

    def groups_sampled(self, batch_size: int) -> int:
        """How many groups are in the train partition, once all is rolled out; `batch_size` are trained on."""
        return self.preemptive.groups_at_hand if self.preemptive else batch_size

    def keep_ahead(self, batch: KVBatchMeta, step: int, ranks: int, multiple: int, forward: Forward) -> KVBatchMeta:
        """Keep what later steps train on, and return the rows of this step; see `PreemptiveStage.keep_ahead`."""
        return self.preemptive.keep_ahead(batch, step, ranks, multiple, forward) if self.preemptive else batch

    def rewarding(self, batch: KVBatchMeta, metrics: dict) -> AbstractContextManager:
        """The rewards that advantages are computed of, for as long as that lasts."""
        if self.length_penalty is None:
            return nullcontext()
        stored = self.preemptive.question_of if self.preemptive else self.replay.replayed if self.replay else {}
        return self.length_penalty.applied(batch, self._question_of | self._reused() | stored, metrics)

    def observe(self, batch: KVBatchMeta, groups: Mapping[str, Group], step: int) -> dict[str, float]:
        """Take in what this step's own rollouts showed, and return the metrics of all stages.

        Args:
            batch: the train batch.
            groups: of it, without the replayed ones.
            step: this one.
        """
        metrics = {}
        if groups:
            own = self._question_of | self._reused()
            if self.selection:
                metrics |= self.selection.observe(groups, self._question_of)
            if self.adarft:
                metrics |= self.adarft.observe(groups, self._question_of, step)
            for stage in (self.budget, self.length_penalty):
                metrics |= stage.observe(groups, own) if stage else {}
        if self.preemptive:
            metrics |= self.preemptive.store(batch, step)
        if self.replay:
            metrics |= self.replay.store(batch, self._question_of | self._reused(), step)
        return metrics

    def observe_entropy(self, batch: KVBatchMeta, step: int) -> dict[str, float]:
        """Take in the entropy of this step's own rollouts, and return the controller's metrics."""
        return self.temperature.observe(batch, step) if self.temperature else {}

    def _reused(self) -> dict[str, int]:
        """Question of each uid whose rollouts of this step were there before it was planned."""
        return self.selection.reused if self.selection else {}

    # --- checkpoints -----------------------------------------------------------------------------------------

    def _enabled(self) -> dict[str, Stateful]:
        return {name: stage for name in NAMES if (stage := getattr(self, name))}

    def save(self, folder: Path) -> None:
        """Write the state of each stage."""
        save_stages(folder, self._enabled(), self._fingerprint)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote.

        Raises:
            StateError: it is missing, damaged or of other data, or of a stage that is not enabled.
        """
        load_stages(folder, self._enabled(), self._fingerprint)

    @property
    def _fingerprint(self) -> str | None:
        """Of the training questions, where a stage knows them."""
        return self.questions.known.fingerprint if self.questions else None
