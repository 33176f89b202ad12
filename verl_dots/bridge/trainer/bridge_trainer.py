"""verl's V1 trainer by public names, with rows in place of its batches; `training.modes` names the mode.

No other class of the package overrides or calls a private method of verl's trainer. `contract` lists what it relies on.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.utils.config import omega_conf_to_dataclass

from verl_dots.bridge.agents.agent_loop import FIRST_ROLLOUT, PARTITION
from verl_dots.bridge.queue.arrivals import arrived
from verl_dots.bridge.queue.lean import in_parts, short_columns
from verl_dots.bridge.queue.prompts import column
from verl_dots.bridge.queue.rows import TRAIN, Rows
from verl_dots.bridge.trainer.announced import announce, unannounced
from verl_dots.bridge.trainer.mini_batches import MiniBatchTrainer
from verl_dots.bridge.trainer.validation_batches import ValidationBatches, are_always_the_same
from verl_dots.bridge.trainer.validation_figures import countable
from verl_dots.rewards.limits import require_usable_rewards


class BridgeTrainer(MiniBatchTrainer):
    """What a step is made of. Each part changes the rows in the TransferQueue, and `metrics` with their figures."""

    engine_awake = True

    # --- prompts ---------------------------------------------------------------------------------------------

    def next_prompts(self, count: int | None) -> TensorDict:
        """Prompts to roll out: verl's next ones of the data loader, unless a subclass chooses."""
        return super()._next_train_batch(count)

    def submit(self, prompts: TensorDict) -> int:
        """Begin to roll out prompts; how many."""
        with self.collecting():
            return super()._submit_batch_to_rollout(prompts)

    def fetch_row(self) -> TensorDict:
        """The data loader's next batch of data.gen_batch_size rows."""
        return self._fetch_one_gen_batch()

    def _next_train_batch(self, num_prompts: int | None = None) -> TensorDict:
        return self.next_prompts(num_prompts)

    def _submit_batch_to_rollout(self, batch: TensorDict) -> int:
        return self.submit(batch)

    def roll_out_apart(self, prompts: TensorDict, uids: list[str], partition: str, first_rollout: int) -> Rows:
        """Roll out prompts into a partition of their own, score them, and return what has arrived.

        Args:
            prompts: of the data set.
            uids: their names.
            partition: of the TransferQueue; no step trains on it.
            first_rollout: index of each prompt's first rollout, apart from those of the step's own.
        """
        prompts["uid"] = column(uids)
        prompts[PARTITION] = column([partition] * len(uids))
        prompts[FIRST_ROLLOUT] = column([first_rollout] * len(uids))
        tags = [{"is_prompt": True, "status": "pending", "global_steps": self.global_steps} for _ in uids]
        tq.kv_batch_put(keys=list(uids), partition_id=partition, tags=tags)
        with self.collecting():
            self.agent_loop_manager.generate_sequences(prompts)
        found = self.arrived(uids, partition)
        if self.has_colocated_rewards and len(found):
            # As in verl's validation, engine and reward model take turns on the same devices.
            self.checkpoint_manager.sleep_replicas()
            found = Rows(self._compute_reward_colocate(found.meta))
            require_usable_rewards(found.rewards())
            self.checkpoint_manager.update_weights(self.global_steps - 1)
        return found

    # --- rollouts and rewards --------------------------------------------------------------------------------

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """For as long as the step rolls out; the engine then sleeps."""
        self.on_sample_begin()
        yield
        if self.engine_awake or self.curr_step_profile:
            self.on_sample_end()
        self.engine_awake = False

    def on_step_end(self) -> None:
        """verl's: the engine awakes with the new weights. Where nobody asks it before the next step ends it sleeps."""
        every, last = self.config.trainer.test_freq, self.global_steps >= self.total_training_steps
        validates = every > 0 and (last or self.global_steps % every == 0)
        if validates or self.samples_next():
            super().on_step_end()
            self.engine_awake = True

    def samples_next(self) -> bool:
        """Whether the next step asks the engine for rollouts."""
        return True

    def wait_for_rollouts(self, groups: int, metrics: dict) -> Rows:
        """All rows of so many groups of the step, once they are there."""
        with self.collecting():
            batch, figures = self.replay_buffer.sample(
                global_steps=self.global_steps, partition_id=TRAIN, batch_size=groups
            )
        metrics.update(figures)
        batch.extra_info["temperature"] = self.config.actor_rollout_ref.rollout.temperature
        return Rows(batch)

    def wait_for(self, uids: list[str], metrics: dict) -> Rows:
        """All rows of these groups of the step, which are the only ones that are not there yet."""
        return self.wait_for_rollouts(len(uids), metrics)

    def arrived(self, uids: list[str], partition: str = TRAIN) -> Rows:
        """All rows of these groups, once each has ended, whatever else there is."""
        with self.collecting():
            return arrived(uids, partition, self.looks)

    @property
    def has_colocated_rewards(self) -> bool:
        """Whether a reward model on the trainer's own devices gives the rewards."""
        return self.reward_loop_manager.reward_loop_worker_handles is None

    def score(self, rows: Rows, metrics: dict) -> None:
        """Rewards by a reward model on the same devices, where there is one."""
        if self.has_colocated_rewards and len(rows):
            with self.timed("reward"):
                self._compute_reward_colocate(rows.meta, metrics=metrics)
                require_usable_rewards(rows.rewards())

    # --- forward passes and updates --------------------------------------------------------------------------

    def _for_workers(self, rows: Rows) -> AbstractContextManager:
        """What they read: of a model of text the tensors, of one with images the images, too."""
        return rows.tensors_alone() if self.processor is None else nullcontext()

    def forward(self, field: str, rows: Rows, metrics: dict) -> None:
        """A forward pass that writes `field`: old_log_probs (and entropy) or ref_log_prob."""
        passes = {"old_log_probs": self._compute_old_log_prob, "ref_log_prob": self._compute_ref_log_prob}
        with self._for_workers(rows):
            passes[field](rows.meta, metrics=metrics)

    def compute_values(self, rows: Rows, metrics: dict) -> None:
        """The critic's values."""
        with self._for_workers(rows):
            self._compute_values(rows.meta, metrics=metrics)

    def compute_advantages(self, rows: Rows, metrics: dict) -> None:
        """Advantages and returns of rewards and, where the config asks for them, of values and of a KL penalty.

        The rows are then without what went to the forward passes, with tags that may say more than the queue's.
        """
        tags = rows.tags
        rows.meta = in_parts(self._compute_advantage, rows, self.config.algorithm, metrics)
        rows.meta.tags = tags

    def update_critic(self, rows: Rows, metrics: dict) -> None:
        """The critic's optimizer steps."""
        with self._for_workers(rows):
            self._update_critic(rows.meta, metrics=metrics)

    def update_actor(self, rows: Rows, metrics: dict) -> None:
        """The actor's optimizer steps."""
        with self._for_workers(rows):
            self._update_actor(rows.meta, metrics=metrics)

    def set_actor_loss(self, loss: Any) -> None:
        """Have the actor's workers compute another loss than verl's; called with (config, output, data, dp_group)."""
        self.actor_rollout_wg.set_loss_fn(loss)

    def actor_settings(self) -> Any:
        """verl's typed settings of the actor."""
        return omega_conf_to_dataclass(self.config.actor_rollout_ref.actor)

    def known_tokens(self) -> int:
        """Rows of the model's embedding: ids of tokens that an engine may return are below it."""
        return omega_conf_to_dataclass(self.config.actor_rollout_ref.model).hf_config.get_text_config().vocab_size

    # --- the run ---------------------------------------------------------------------------------------------

    def validate(self) -> dict:
        """verl's validation; its figures."""
        self.looks.begin()
        with self.patience.waiting(f"the validation at step {self.global_steps}"):
            return super()._validate()

    def save(self) -> None:
        """Write verl's part of a checkpoint. Where it is written at once, `saved` tells of it."""
        with unannounced(self):
            super()._save_checkpoint()

    def saved(self, folder: Path) -> None:
        """Tell verl's callback of a checkpoint that is complete."""
        announce(self, folder)

    def load(self) -> None:
        """Read verl's part of the checkpoint that the run resumes from."""
        super()._load_checkpoint()

    def count_restored(self, groups: int) -> None:
        """So many groups of a checkpoint are in flight; verl's asynchronous modes ask for the others that they want."""
        self._restored_tq_prompt_count = groups

    def log_rollouts(self, rows: Rows, timing: dict, folder: str) -> None:
        """Dump rollouts as verl does."""
        if len(rows):
            super()._log_rollout_data(rows.meta, timing, folder)

    def add_figures(self, rows: Rows, metrics: dict, timing: dict, step: int, epoch: int) -> None:
        """verl's metrics of a whole step, added to `metrics`."""
        with short_columns():
            super()._compute_metrics(rows.meta, metrics, timing, global_steps=step, epoch=epoch)

    def completed(self) -> None:
        """The last call of a fit() that ends as it should."""
        super()._shutdown_dump_executor()

    def _init_dataloader(self) -> None:
        super()._init_dataloader()
        if are_always_the_same(self.val_dataset, self.processor, self.config.data.validation_shuffle):
            self.val_dataloader = ValidationBatches(self.val_dataloader)

    def _validate(self) -> dict:
        return self.validate()

    def _val_metrics_update(
        self, data_sources, sample_uids, reward_extra_infos_dict, sample_turns, expected_acc_counts=None
    ) -> dict:
        beside = countable(data_sources, reward_extra_infos_dict)
        return super()._val_metrics_update(data_sources, sample_uids, beside, sample_turns, expected_acc_counts)

    def _save_checkpoint(self) -> None:
        with self.saving():
            self.save()

    def _load_checkpoint(self) -> None:
        self.load()

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str) -> None:
        self.log_rollouts(Rows(batch), timing_raw, rollout_data_dir)

    def _compute_metrics(self, batch: KVBatchMeta, metrics: dict, timing_raw: dict, global_steps: int, epoch: int):
        self.add_figures(Rows(batch), metrics, timing_raw, global_steps, epoch)

    def _shutdown_dump_executor(self) -> None:
        self.completed()
