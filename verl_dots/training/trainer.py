"""The trainer: verl's, whose step the methods of a run take part in; `modes` has one for each of verl's modes.

What is computed lives in the rooms of the methods, what the training loop does is verl's.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from omegaconf import DictConfig, OmegaConf, open_dict
from tensordict import TensorDict

from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue.prompts import SIZE, StepPrompts, column
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.row_tags import age_figures
from verl_dots.bridge.queue.rows import Rows
from verl_dots.config import DotsConfig
from verl_dots.methods.entropy import sampled_entropy
from verl_dots.methods.refusals import passes_by
from verl_dots.methods.table import enabled, one_by_one, source_of
from verl_dots.step import Step, outcomes
from verl_dots.training.pipeline import make_pipeline
from verl_dots.training.tolerant_trainer import TolerantTrainer


class DotsTrainer(TolerantTrainer):
    """A step of it.

    Attributes:
        mode: verl's name of how rollouts and training take turns.
        asynchronous: whether rollouts go on while a step trains, for whichever step finds them complete.
    """

    mode: str
    asynchronous = False

    def __init__(self, config: DictConfig):
        given = copy.deepcopy(config)
        self.dots = DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True))
        self.stage_classes = enabled(self.dots, config)
        with open_dict(config):
            # verl asks in many places whether the mode is "sync", by its name in the config.
            config.trainer.v1.trainer_mode = self.mode
            if self.asynchronous or one_by_one(self.stage_classes):
                config.data.gen_batch_size = 1  # any number of questions can be asked for, such as for one that failed
        super().__init__(config, given)

    # --- a step ----------------------------------------------------------------------------------------------

    def prepare_step(self) -> dict:
        """Begin a step: its target and temperature, its questions, and the rollouts of these."""
        self.begin_step(self.timing_raw)
        return super().prepare_step()

    def begin_step(self, timing: dict[str, float]) -> None:
        """Begin a step whose seconds are added to `timing`, without rollouts."""
        rollout = self.config.actor_rollout_ref.rollout
        self.now = Step(self.global_steps, float(rollout.temperature), timing=timing)
        self.prompts = StepPrompts(self.now, rollout.n, among_others=self.asynchronous)
        self.pipeline.begin(self.now)

    def plan(self, count: int | None) -> Sequence[np.ndarray] | None:
        """Questions of the step, batch by batch, or so many others; None where verl's own order of the data holds."""
        return self.pipeline.plan(self.now)

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int):
        """A step, from its rollouts to the update. verl's own parts are in `bridge.trainer`."""
        step, methods = self.now, self.pipeline
        metrics |= step.metrics
        step.metrics = metrics

        with self.timed("gen"), self.sampling():
            groups = len(step.question_of) or sample_batch_size
            rows = self.drop_failed(self.wait_for_rollouts(groups, metrics), groups, metrics)
            rows = methods.arrived(step, rows) if len(rows) else rows
        if not len(rows):
            raise RolloutFailure("no group is complete")
        self.score(rows.own, metrics)  # the others have their reward

        rows.sort()
        rows = methods.sampled(step, rows)
        self.unequal_groups = self.has_unequal_groups(rows, metrics)
        rows = self.balance(rows, metrics)
        step.groups = rows.groups(step.question_of)
        metrics |= age_figures(rows.tags, step.number)
        methods.complete(step, rows)

        with self.undisturbed():
            self._train_on(rows, metrics)
        metrics |= methods.metrics(step)
        return rows.meta

    def _train_on(self, rows: Rows, metrics: dict) -> None:
        """Forward passes, advantages and updates."""
        step, methods = self.now, self.pipeline
        with self.timed("old_log_prob"):
            methods.forward(step, rows, "old_log_probs", partial(self.forward, "old_log_probs"))
        if self.use_reference_policy:
            with self.timed("ref"):
                methods.forward(step, rows, "ref_log_prob", partial(self.forward, "ref_log_prob"))
        if self.use_critic:
            with self.timed("values"):
                self.compute_values(rows, metrics)

        with self.timed("adv"):
            metrics |= outcomes(step.new_in_batch, self.dots.reward_range) | self.entropy_of(rows.new)
            methods.observe(step, rows)
            with rows.rewarded(methods.rewards(step, rows)):
                self.compute_advantages(rows, metrics)
            self.drop_partial_figures(rows, step)

        if self.use_critic:
            with self.timed("update_critic"):
                self.cut_if_unequal(rows, self.critic_updates)
                self.update_critic(rows, metrics)
        if self.config.trainer.critic_warmup <= self.global_steps:
            with self.timed("update_actor"):
                self.cut_if_unequal(rows, self.actor_updates)
                self.update_actor(methods.reduce(step, rows), metrics)

    # --- its parts -------------------------------------------------------------------------------------------

    def next_prompts(self, count: int | None) -> TensorDict:
        """verl's batch or one of chosen questions; random uids give way to names that sort in the batch's order."""
        step = self.now
        batches = self.plan(count)
        if batches is None:
            prompts = super().next_prompts(count)
        elif len(batches):
            prompts = self.questions.batch(np.concatenate(batches), step.number)
        else:
            return TensorDict({}, batch_size=0)  # everything that this step trains on is there already
        self._named_prompts(step, prompts, batches)
        if batches is not None:
            sizes_N = np.array(self.prompts.sizes(prompts))
            first_N = self.pipeline.first_sizes(step, list(prompts["uid"]), sizes_N)
            if (first_N != sizes_N).any():
                self.prompts.begin_with(prompts, first_N)
        return prompts

    def _named_prompts(self, step: Step, prompts: TensorDict, batches: Sequence[np.ndarray] | None) -> TensorDict:
        """Prompts with their names, of these questions if they are known, and with the rollouts that each gets."""
        uids = self.prompts.name(prompts)
        if batches is not None:
            step.question_of |= dict(zip(uids, np.concatenate(batches).tolist(), strict=True))
            number_N = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
            step.batch_of |= dict(zip(uids, number_N.tolist(), strict=True))
            if (sizes_N := self.pipeline.sizes(step, batches)) is not None:
                prompts[SIZE] = column(sizes_N.tolist())
        return prompts

    def roll_out_more(self, step: Step, questions_N: np.ndarray, whole: Mapping[str, int] | None = None) -> Rows:
        """Roll out further questions and the rest of begun groups, and wait; failed groups are dropped and counted."""
        uids = list(whole or ())
        if len(questions_N):
            prompts = self._named_prompts(step, self.questions.batch(questions_N, step.number), [questions_N])
            self.submit(prompts)
            uids += prompts["uid"]
        if whole:
            questions = self.questions.batch(np.array([step.question_of[uid] for uid in whole]), step.number)
            self.submit(self.prompts.rest(questions, whole))
            self.expect(whole)
        try:
            rows = self.wait_for(uids, step.metrics)
        except RolloutFailure:  # nothing comes any more
            raise
        except RuntimeError:  # verl's, where not one rollout has come: the prompts are still in the queue
            Rows.of(uids, [{} for _ in uids]).clear()
            rows = Rows.of([], [])
        return self.drop_failed(rows, len(uids), step.metrics)

    def entropy_of(self, rows: Rows) -> dict[str, float]:
        """Entropy of rows by the log-probs of their engine, where it gives any; verl's needs a forward pass."""
        if not self.config.actor_rollout_ref.rollout.calculate_log_probs:
            return {}
        entropy = sampled_entropy(rows)
        return {} if entropy is None else {"training/sampled_entropy": entropy}

    def has_unequal_groups(self, rows: Rows, metrics: dict) -> bool:
        """Whether the batch has other than rollout.n rollouts of each of its questions."""
        expected = self.config.data.train_batch_size * self.config.actor_rollout_ref.rollout.n
        possible = self.pipeline.unequal_groups or metrics["training/dropped_groups"] > 0
        return possible and len(rows) != expected

    def cut_if_unequal(self, rows: Rows, updates: int) -> None:
        """As many optimizer steps as a whole batch has, whatever the number of rows."""
        if self.unequal_groups:
            self.cut_evenly(rows, updates)

    def drop_partial_figures(self, rows: Rows, step: Step) -> None:
        """Without verl's figures of engine against trainer where they hold rows of an older policy, or no log-probs.

        Where no forward pass is made the trainer's log-probs are the engine's.
        """
        if len(rows.stored) or not step.forwarded or passes_by(self.config, self.dots):
            for name in [name for name in step.metrics if name.startswith("rollout_corr/")]:
                del step.metrics[name]

    def set_temperature(self, temperature: float) -> None:
        """The temperature of the step's rollouts, for the engine and wherever verl reads it."""
        self.config.actor_rollout_ref.rollout.temperature = temperature
        self.agent_loop_manager.temperature = temperature

    def set_entropy_coefficient(self, coefficient: float) -> None:
        """The coefficient of the entropy bonus in the actor's next update, for its workers and for verl's trainer."""
        if self.config.actor_rollout_ref.actor.entropy_coeff != coefficient:
            self.config.actor_rollout_ref.actor.entropy_coeff = coefficient
            self.send_actor_loss()

    def send_actor_loss(self) -> None:
        """Have the workers compute the loss of the stages' rows, by the actor's settings as they are now."""
        from verl_dots.methods.actor_loss import dots_loss

        self.set_actor_loss(partial(dots_loss, config=self.actor_settings()))

    def samples_next(self) -> bool:
        return self.pipeline.store is None or self.pipeline.store.samples_next()

    def next_question(self) -> int:
        """The number of the data loader's next question."""
        return self.questions.number_of(self.fetch_row())

    # --- the run ---------------------------------------------------------------------------------------------

    def on_init_end(self) -> None:
        super().on_init_end()
        if self.pipeline.own_loss:
            self.send_actor_loss()

    def load(self) -> None:
        super().load()
        self.questions: TrainQuestions | None = None
        if any(stage.knows_questions for stage in self.stage_classes):
            conflicts = source_of(self.stage_classes).on_conflict(self.dots)
            self.questions = TrainQuestions(self.train_dataset, self.config.data.prompt_key, conflicts)
        with self.patience.waiting("the methods to start"):
            self.pipeline = make_pipeline(self)
        if self.checkpoint is not None:
            self.pipeline.load(self.checkpoint)

    def log_rollouts(self, rows: Rows, timing: dict, folder: str) -> None:
        """Each rollout is logged once, in the step that first trains on it; what pads the batch is none."""
        super().log_rollouts(rows.new.real, timing, folder)

    def add_figures(self, rows: Rows, metrics: dict, timing: dict, step: int, epoch: int) -> None:
        super().add_figures(rows, metrics, timing, step, epoch)
        metrics |= self.generated(rows)
