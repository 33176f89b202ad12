"""What the methods of a run add to its steps: one source of questions, at most one store, and stages."""

import copy
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from verl_dots.bridge.queue.row_tags import is_padding
from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.hooks import Forward, Source, Stage, Store
from verl_dots.methods.run import Run, Scores
from verl_dots.methods.table import enabled, one_by_one, store_of
from verl_dots.step import Step
from verl_dots.training.stage_files import States, load_stages, save_states, states_of

logger = logging.getLogger(__name__)


class Pipeline:
    """The stages of one run; each hook of theirs in turn, in the order of the table of methods.

    Args:
        run: what they are made of.

    Raises:
        QuestionError, ValueError: data or a model that an enabled stage cannot work with.
    """

    def __init__(self, run: Run):
        self.run = run
        classes = enabled(run.dots, run.config)
        self.stages: list[Stage] = [stage.make(run) for stage in classes]
        self.source: Source = next(stage for stage in self.stages if isinstance(stage, Source))
        self.store: Store | None = next((stage for stage in self.stages if isinstance(stage, Store)), None)
        self.own_loss = any(stage.own_loss for stage in self.stages)
        self.unequal_groups = any(stage.unequal_groups for stage in self.stages)
        if one_by_one(classes) and run.fresh < run.batch_size and run.config.trainer.total_training_steps is None:
            logger.warning(
                "a step rolls out about %d of its %d questions: verl counts %d steps as an epoch, in which not all "
                "questions come; trainer.total_training_steps sets the length of the run",
                run.fresh, run.batch_size, run.steps,
            )  # fmt: skip

    def begin(self, step: Step) -> None:
        """Set what the step aims at, and let each stage begin it."""
        targets = [target for stage in self.stages if (target := stage.target()) is not None]
        step.target = targets[0] if targets else self.run.dots.selection.alpha
        for stage in self.stages:
            stage.begin(step)

    def plan(self, step: Step) -> Sequence[np.ndarray] | None:
        """Questions to roll out in the step, batch by batch; None where verl's own order of the data holds."""
        if self.store:
            return self.store.fill(step, self.source)
        planned = self.source.plan(step)
        return None if planned is None else [planned]

    def sizes(self, step: Step, batches: Sequence[np.ndarray]) -> np.ndarray | None:
        """Rollouts of each question of the batches, n * B for each batch; None where all have n."""
        for stage in self.stages:
            found = [stage.sizes(step, questions_B) for questions_B in batches]
            if found and found[0] is not None:
                return np.concatenate(found)
        return None

    def first_sizes(self, step: Step, uids: Sequence[str], sizes_N: np.ndarray) -> np.ndarray:
        """Rollouts that groups begin with, of those that each is to have."""
        for stage in self.stages:
            found_N = stage.first_sizes(step, uids, sizes_N)
            if found_N is not None:
                return found_N
        return sizes_N

    def arrived(self, step: Step, rows: Rows) -> Rows:
        """The rows that the step goes on with, while the engine is awake."""
        for stage in self.stages:
            rows = stage.arrived(step, rows, self.source)
        return rows

    def sampled(self, step: Step, rows: Rows) -> Rows:
        """The rows of the step, out of all that it has rolled out."""
        for stage in self.stages:
            rows = stage.sampled(step, rows)
        return rows

    def complete(self, step: Step, rows: Rows) -> None:
        """Show each stage the whole batch."""
        for stage in self.stages:
            stage.complete(step, rows)

    def forward(self, step: Step, rows: Rows, field: str, inner: Forward) -> None:
        """Write a field of log-probs of all rows, by as much of verl's forward pass as the stages need."""
        for stage in reversed(self.stages):
            inner = partial(stage.forward, step, field, inner)
        inner(rows, step.metrics)

    def observe(self, step: Step, rows: Rows) -> None:
        """Let each stage take in what the step shows."""
        for stage in self.stages:
            stage.observe(step, rows)

    def rewards(self, step: Step, rows: Rows) -> np.ndarray | None:
        """[N] rewards that advantages are computed of; None where they stay as they are."""
        changing = [stage for stage in self.stages if type(stage).rewards is not Stage.rewards]
        if not changing:
            return None
        real_N = np.array([not is_padding(tag) for tag in rows.tags])
        reward_N = np.array(rows.rewards())
        length_N = np.array([tag["response_len"] for tag in rows.tags])
        question_N = np.array([step.question_of.get(uid, -1) for uid in rows.uids])
        for stage in changing:
            found_N = stage.rewards(step, Scores(reward_N, length_N, question_N))
            if found_N is not None:
                less_N = (reward_N - found_N)[real_N]
                step.metrics[f"{stage.name}/share"] = float((less_N > 0).mean())
                step.metrics[f"{stage.name}/mean"] = float(less_N[less_N > 0].mean()) if (less_N > 0).any() else 0.0
                reward_N = found_N
        return reward_N

    def reduce(self, step: Step, rows: Rows) -> Rows:
        """The rows that the actor is updated with."""
        for stage in self.stages:
            rows = stage.reduce(step, rows)
        return rows

    def metrics(self, step: Step) -> dict[str, float]:
        """The figures of all stages."""
        return {name: value for stage in self.stages for name, value in stage.metrics(step).items()}

    # --- checkpoints -----------------------------------------------------------------------------------------

    def states(self) -> States:
        """A copy of the state of each stage, as it is now."""
        return copy.deepcopy(states_of(self.stages))

    def save(self, folder: Path, states: States | None = None) -> None:
        """Write the state of each stage, or those that `states` has kept."""
        save_states(folder, states_of(self.stages) if states is None else states, self._fingerprint)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote.

        Raises:
            StateError: it is missing, damaged or of other data, or of a stage that is not enabled.
        """
        load_stages(folder, self.stages, self._fingerprint)

    @property
    def _fingerprint(self) -> str | None:
        """Of the training questions, where a stage knows them."""
        return self.run.questions.known.fingerprint if self.run.questions else None


def make_pipeline(trainer: Any) -> Pipeline:
    """The stages of a run, over verl's data set and workers, which its trainer (`DotsTrainer`) has.

    Raises: see `Pipeline`.
    """
    store, batch_size = store_of(trainer.stage_classes), trainer.config.data.train_batch_size
    resumes = trainer.checkpoint is not None
    run = Run(
        trainer.dots,
        trainer.config,
        trainer.questions,
        trainer.total_training_steps,
        fresh=store.fresh(trainer.dots, batch_size) if store else batch_size,
        ranks=trainer.ranks,
        vocabulary=len(trainer.tokenizer),
        tokens=trainer.known_tokens() if resumes and store else None,
        resumed=trainer.global_steps if resumes else None,
        text_only=trainer.processor is None,
        trainer=trainer,
        resources=next(iter(trainer.resource_pool_manager.resource_pool_dict.values())),
        news=trainer.patience.news,
    )
    return Pipeline(run)
