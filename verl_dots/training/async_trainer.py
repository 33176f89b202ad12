"""A trainer whose rollouts go on while it trains: what it asked for in one step it may train on in a later one.

verl's asynchronous modes hold `num_warmup_batches` of groups in flight. A step asks for as many groups as it trains on,
and takes the oldest that are complete. What a group was asked for with waits in `InFlight` until then, and is saved.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from tensordict import TensorDict

from verl_dots.bridge.agents.agent_loop import TEMPERATURE
from verl_dots.bridge.agents.failures import RolloutFailure, take_failures
from verl_dots.bridge.queue.arrivals import empty, keep_only, prompts_there
from verl_dots.bridge.queue.prompts import column
from verl_dots.bridge.queue.row_tags import TEMPERATURE as SAMPLED_AT
from verl_dots.bridge.queue.rows import VALIDATION, Rows, incomplete
from verl_dots.bridge.queue.temperatures import keep_temperatures
from verl_dots.state import save_state
from verl_dots.state_values import restoring
from verl_dots.training.in_flight import FILE, KIND, QUEUE, Asked, InFlight, load_in_flight
from verl_dots.training.tolerant_trainer import REFERENCE_PARTITION
from verl_dots.training.trainer import DotsTrainer


class AsyncTrainer(DotsTrainer):
    """The step of `DotsTrainer` on groups that were asked for in this step or an earlier one."""

    asynchronous = True

    def __init__(self, config: DictConfig):
        self.in_flight = InFlight()
        self._ahead = False  # while the groups are asked for that no step has trained on before the first
        super().__init__(config)

    # --- asking for groups -----------------------------------------------------------------------------------

    def on_train_begin(self) -> None:
        """verl's: what it asks for ahead belongs to the step that comes, whichever step takes it."""
        self.begin_step({})
        self._ahead_by(super().on_train_begin)

    def _ahead_by(self, ask: Callable[[], None]) -> None:
        self._ahead = True
        ask()
        self._ahead = False
        # References that are trained on have their rollouts, and wait among the others.
        size, temperature = self.config.actor_rollout_ref.rollout.n, float(self.now.temperature)
        for uid, question in self.now.question_of.items():
            if uid not in self.in_flight:
                self.in_flight.add(uid, self._asked(question, size, temperature))
        self.now.question_of, self.now.predicted, self.now.uniform = {}, {}, frozenset()

    def begin_step(self, timing: dict[str, float]) -> None:
        if getattr(self, "now", None) is not None and self.now.number == self.global_steps:
            timing |= self.now.timing  # begun before, see `on_train_begin`
            self.now.timing = timing
        else:
            super().begin_step(timing)
            self.now.forecast = {}
        self.now.in_flight = frozenset(self.in_flight.questions - {-1})

    def plan(self, count: int | None) -> Sequence[np.ndarray] | None:
        """Questions of the step; those that are rolled out ahead of it; or others for groups that verl has evicted."""
        source, step = self.pipeline.source, self.now
        if count is None or self.questions is None:
            return super().plan(count)
        if self._ahead:
            whole, rest = divmod(count, self.pipeline.run.fresh)
            planned = [source.plan(step) for _ in range(whole)]
            seen = self.in_flight.questions.union(*(questions_N.tolist() for questions_N in planned))
            return [*planned, source.top_up(step, rest, seen)] if rest else planned
        found_N = source.top_up(step, count, self.in_flight.questions | set(step.question_of.values()))
        if len(found_N) < count:
            found_N = np.concatenate([found_N, source.top_up(step, count - len(found_N), set(found_N.tolist()))])
        if len(found_N) < count:
            raise RolloutFailure(
                f"step {step.number}: {count} groups failed or were too old, and the data have no {count} questions in "
                "their place; add data, lower data.train_batch_size, or raise "
                "trainer.v1.sampler.max_off_policy_threshold"
            )
        return [found_N]

    def remember(self, prompts: TensorDict) -> None:
        temperature = float(self.now.temperature)
        prompts[TEMPERATURE] = column([temperature] * len(prompts))  # is saved with a prompt that is rolled out anew
        for uid, size in zip(prompts["uid"], self.prompts.sizes(prompts), strict=True):
            question = self.now.question_of.get(uid, -1)
            self.in_flight.add(uid, self._asked(question, size, temperature))
            self.now.uniform -= {question}  # it is said of the groups that a step takes

    def _asked(self, question: int, size: int, temperature: float) -> Asked:
        step = self.now
        return Asked(
            question, size, temperature, step.number, question in step.uniform, step.predicted.get(question)
        )  # fmt: skip

    # --- taking them -----------------------------------------------------------------------------------------

    def wait_for_rollouts(self, groups: int, metrics: dict) -> Rows:
        """The groups that this step brings with it, and of those in flight as many as its batch lacks."""
        step = self.now
        stored = [uid for uid in step.question_of if uid not in self.in_flight]
        there = self.arrived(stored) if stored else Rows.of([], [])
        step.question_of = {uid: step.question_of[uid] for uid in stored}
        due = self.config.data.train_batch_size - len(stored)
        if due > 0:
            there = self._taken(super().wait_for_rollouts(due, metrics)).joined(there)
            # Without groups that verl has evicted meanwhile, and what was asked for in their place.
            step.question_of = {uid: step.question_of[uid] for uid in sorted(set(there.uids) & step.question_of.keys())}
        there.meta.extra_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
        return there

    def wait_for(self, uids: list[str], metrics: dict) -> Rows:
        return self._taken(self.arrived(uids))

    def _taken(self, rows: Rows) -> Rows:
        """Rows of groups that have left the queue, with what is known of these; a group may have no row left."""
        waiting = prompts_there()
        asked = self.in_flight.take([uid for uid in self.in_flight if uid not in waiting])
        self._submitted |= {uid: one.size for uid, one in asked.items()}
        self.now.question_of |= {uid: one.question for uid, one in asked.items() if one.question >= 0}
        self.now.uniform |= {one.question for one in asked.values() if one.uniform}
        known = {one.question: one.predicted for one in asked.values() if one.predicted is not None}
        self.now.forecast = {**self.now.forecast, **known}
        for uid, tag in zip(rows.uids, rows.tags, strict=True):
            if asked[uid].temperature != self.now.temperature:
                tag[SAMPLED_AT] = asked[uid].temperature
        return rows

    def evicted(self, uids: set[str], rows: Rows) -> None:
        """verl's buffer takes these groups out of the queue, of which so many rows have come, and asks for others.

        Groups of which a rollout failed are counted, and the tokens of these and of such as are too old.

        Raises:
            RolloutFailure: so many have failed that the step will never be whole.
        """
        asked = self.in_flight.take(sorted(uids))
        missing = incomplete(rows.keys, {uid: one.size for uid, one in asked.items()})
        self.count_missing(missing, rows, self.now.metrics)
        batch = self.config.data.train_batch_size * self.config.actor_rollout_ref.rollout.n
        if self.failures.failed > self.failures.allowed + batch:
            raise self.failures.error()

    # --- training on them ------------------------------------------------------------------------------------

    def balance(self, rows: Rows, metrics: dict) -> Rows:
        """As ever; each row then has the temperature that it was sampled at, whatever part of them is computed."""
        rows = super().balance(rows, metrics)
        self._keep_temperatures(rows)
        return rows

    def update_actor(self, rows: Rows, metrics: dict) -> None:
        self._keep_temperatures(rows)
        super().update_actor(rows, metrics)

    def _keep_temperatures(self, rows: Rows) -> None:
        parts = self.config.actor_rollout_ref
        keep_temperatures(rows, parts.rollout.temperature, parts.model.use_fused_kernels)

    def step(self, metrics: dict, timing_raw: dict):
        batch = super().step(metrics, timing_raw)
        metrics["training/in_flight_groups"] = float(len(self.in_flight))
        return batch

    # --- checkpoints -----------------------------------------------------------------------------------------

    def give_up_step(self) -> None:
        """What the step had taken, brought with it or failed to ask for is no longer in flight, nor in the queue."""
        super().give_up_step()
        there = prompts_there()
        self.in_flight.take([uid for uid in self.in_flight if uid not in there])
        unknown = sorted(there.difference(self.in_flight))
        Rows.of(unknown, [{} for _ in unknown]).clear()

    def save_stages(self, folder: Path) -> None:
        super().save_stages(folder)
        save_state(folder / FILE, KIND, self.in_flight.state_dict())

    def load(self) -> None:
        """Also of a synchronous run, which has nothing in flight.

        What a step or a validation that broke has left in the queue is taken out: it is done anew.

        Raises:
            StateError: the queue of the checkpoint has other groups.
        """
        super().load()
        if self.checkpoint is None:
            return
        if (state := load_in_flight(self.checkpoint)) is not None:
            with restoring(self.checkpoint / FILE, "an asynchronous trainer"):
                self.in_flight.load_state_dict(state, 0 if self.questions is None else len(self.questions))
        for partition in (REFERENCE_PARTITION, VALIDATION):
            empty(partition)
        anew = self.in_flight.asked_after(self.global_steps)
        Rows.of(anew, [{} for _ in anew]).clear()
        self.in_flight.take(anew)
        self.in_flight.require_there(prompts_there(), str(self.checkpoint / QUEUE))
        keep_only(set(self.in_flight))
        take_failures(lambda name: name.rpartition("_")[0] not in self.in_flight)
        self.count_restored(len(self.in_flight))
