"""verl's synchronous V1 trainer with what every run of this project needs: exact repetition and a run folder.

Wiring only: what is computed lives elsewhere, what the training loop does is verl's.
"""

import copy
import math
from collections import Counter
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf, open_dict
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import register_trainer
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.debug import marked_timer

from verl_dots.bridge.agent_loop import number_repeats
from verl_dots.bridge.groups import groups_of, outcomes, place_of
from verl_dots.bridge.rows import (
    forward_multiple,
    fresh_rows,
    is_stored,
    pin,
    real_rows,
    sort_rows,
    unstored_rows,
)
from verl_dots.config import DotsConfig
from verl_dots.methods.dash.checks import filters_early
from verl_dots.methods.dash.filter_stage import FilterStage
from verl_dots.methods.replay.loss_stage import OffPolicyStage
from verl_dots.methods.replay.settings import GRPO_RR, LOSSES
from verl_dots.training.losses import dots_loss, off_policy_metrics
from verl_dots.training.run_folder import TOKENS
from verl_dots.training.stages import Stages
from verl_dots.training.tolerant_trainer import TolerantTrainer


@register_trainer("dots")
class DotsTrainer(TolerantTrainer):
    """Synchronous trainer; with `dots` at its defaults it trains exactly as verl's own."""

    def __init__(self, config: DictConfig):
        given = copy.deepcopy(config)
        with open_dict(config):
            # verl asks in many places whether the mode is "sync", by its name in the config.
            config.trainer.v1.trainer_mode = "sync"
        self.dots = DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True))
        self._uid_step, self._uid_count = -1, 0
        self._prompts: Counter[str] = Counter()  # that this step has asked for
        self._unequal_groups = False  # whether this batch has other than n rollouts of each question
        self.off_policy: OffPolicyStage | None = None
        self.filter: FilterStage | None = None
        with open_dict(config):
            if self.dots.keeps_order:
                config.data.gen_batch_size = 1  # any number of questions can be asked for
        super().__init__(config, given)
        self.replay_buffer.poll_interval = self.dots.poll_seconds

    # --- the same run every time -----------------------------------------------------------------------------

    def _next_train_batch(self, num_prompts: int | None = None) -> TensorDict:
        """verl's batch or one of chosen questions; random uids give way to names that sort in the batch's order."""
        chosen = self.stages.choose(self.global_steps, self.timing_raw)
        if chosen is None:
            batch = super()._next_train_batch(num_prompts)
        elif chosen:
            batch = self.stages.questions.batch(np.concatenate(chosen), self.global_steps)
        else:
            return TensorDict({}, batch_size=0)  # everything that this step trains on is there already
        if self._uid_step != self.global_steps:
            self._uid_step, self._uid_count = self.global_steps, 0
            self._prompts.clear()
        number_repeats(batch, self._prompts)
        numbers = range(self._uid_count, self._uid_count + len(batch))
        self._uid_count += len(batch)
        # verl splits keys at "_": none in a uid.
        uids = np.array([f"step{self.global_steps:07d}-prompt{number:06d}" for number in numbers], dtype=object)
        batch["uid"] = tu.get_tensordict({"uid": uids})["uid"]
        if chosen is not None:
            self.stages.submitted(uids, chosen)
            if (sizes_N := self.stages.sizes(chosen)) is not None:
                sizes = np.array(sizes_N.tolist(), dtype=object)
                batch["__rollout_n__"] = tu.get_tensordict({"__rollout_n__": sizes})["__rollout_n__"]
        return batch

    def _balance_batch(self, batch: KVBatchMeta, metrics, *args, **kwargs) -> KVBatchMeta:
        """verl's balancing, of trajectories sorted by prompt and session instead of in order of completion."""
        batch = self.drop_failed(batch, metrics)
        sort_rows(batch)
        with marked_timer("old_log_prob", self.timing_raw):
            forward = super()._compute_old_log_prob
            multiple = forward_multiple(self.config.actor_rollout_ref.rollout, self._ranks)
            batch = self.stages.keep_ahead(batch, self.global_steps, self._ranks, multiple, forward)
        rows = self.config.data.train_batch_size * self.config.actor_rollout_ref.rollout.n
        dropped = metrics["training/dropped_groups"] > 0
        self._unequal_groups = (self.dots.unequal_groups or dropped) and len(batch) != rows
        return super()._balance_batch(batch, metrics, *args, **kwargs)

    # --- the stages of a step and their loss --------------------------------------------------------------------

    def prepare_step(self) -> dict:
        """Plan a round where one is due, then submit the step's prompts."""
        return self.stages.prepare(self.timing_raw) | super().prepare_step()

    def _step_once(self, metrics: dict, timing_raw: dict, sample_batch_size: int) -> KVBatchMeta:
        return super()._step_once(metrics, timing_raw, self.stages.groups_sampled(sample_batch_size))

    def _compute_reward_colocate(self, batch: KVBatchMeta, metrics: dict | None = None) -> KVBatchMeta:
        sampled = unstored_rows(batch)  # the others keep the reward that they had
        if len(sampled):
            super()._compute_reward_colocate(sampled, metrics)
        return batch

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        groups = groups_of(fresh_rows(batch))
        metrics.update(outcomes(groups, self.dots.reward_range))
        metrics.update(self.stages.observe(batch, groups, self.global_steps))
        if self.config.algorithm.adv_estimator == GRPO_RR and any(place_of(key)[2] for key in batch.keys):
            raise ValueError(
                f"algorithm.adv_estimator={GRPO_RR} compares rollouts of one output each; these have several: use grpo"
            )
        with self.stages.rewarding(batch, metrics):
            batch = super()._compute_advantage(batch, metrics)
        if any(map(is_stored, batch.tags)) or (self.filter and self.filter.early):
            # verl's figures of engine against trainer would hold rows of an older policy, or without a forward pass.
            for name in [name for name in metrics if name.startswith("rollout_corr/")]:
                del metrics[name]
        return batch

    def on_init_end(self) -> None:
        super().on_init_end()
        loss_mode = self.config.actor_rollout_ref.actor.policy_loss.loss_mode
        parts, ranks = self.config.actor_rollout_ref, self._ranks
        if loss_mode in LOSSES:
            self.off_policy = OffPolicyStage(
                loss_mode, self.dots.loss, parts.rollout, ranks, one_temperature=parts.model.use_fused_kernels
            )
        if self.dots.filter.enable:
            self.filter = FilterStage(self.dots.filter, self.config, ranks, filters_early(self.config, self.dots))
        if self.off_policy or self.filter:
            self.actor_rollout_wg.set_loss_fn(partial(dots_loss, config=omega_conf_to_dataclass(parts.actor)))

    @cached_property
    def _ranks(self) -> int:
        """Data-parallel ranks of the actor."""
        return max(self.actor_rollout_wg._query_dispatch_info("actor")) + 1

    def _compute_old_log_prob(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        if self.filter:
            self.filter.decide(batch)
        if self.off_policy is None:
            self._forward(super()._compute_old_log_prob, "old_log_probs", batch, metrics)
        else:
            forward = partial(self._forward, super()._compute_old_log_prob, "old_log_probs")
            self.off_policy.write(batch, self.global_steps, metrics, forward)
        metrics.update(self.stages.observe_entropy(batch, self.global_steps))
        return batch

    def _compute_ref_log_prob(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        self._forward(super()._compute_ref_log_prob, "ref_log_prob", batch, metrics)
        return batch

    def _forward(self, forward: Callable, field: str, batch: KVBatchMeta, metrics: dict) -> None:
        """A forward pass of verl's that writes `field`, without the rows that the filter spares it."""
        if self.filter is None:
            forward(batch, metrics)
            return
        part = self.filter.staying(batch)
        with self.filter.timed(field, batch, part):
            if len(part):
                forward(part, metrics)
        self.filter.stand_in(batch, field)

    def _update_actor(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        if self.off_policy:
            self.off_policy.keep_temperatures(batch)
        if self._unequal_groups:
            self._pin_mini_batches(batch, self._updates)
        if self.filter is None:
            super()._update_actor(batch, metrics)
        else:
            part, filtered = self.filter.reduce(batch, self._updates)
            with self.filter.timed("update_actor", batch, part):
                super()._update_actor(part, metrics)
            metrics.update(filtered | self.filter.saved())
        off_policy_metrics(metrics)
        return batch

    def _get_required_batch_multiple(self, dp_size: int) -> int:
        if self._unequal_groups:
            # verl's whole mini-batches could add an optimizer step for a few rows.
            return dp_size * math.lcm(self._updates, self._critic_updates)
        return super()._get_required_batch_multiple(dp_size)

    def _update_critic(self, batch: KVBatchMeta, metrics: dict) -> KVBatchMeta:
        if self._unequal_groups:
            self._pin_mini_batches(batch, self._critic_updates)
        return super()._update_critic(batch, metrics)

    @staticmethod
    def _pin_mini_batches(batch: KVBatchMeta, updates: int) -> None:
        rows = sum(not tag.get("is_padding", False) for tag in batch.tags)
        pin(batch, {"mini_batch_size": len(batch) // updates, "global_batch_size": rows / updates})

    @property
    def _critic_updates(self) -> int:
        """Mini-batches of the critic, 1 without one."""
        return self.config.data.train_batch_size // self.config.critic.ppo_mini_batch_size if self.use_critic else 1

    @property
    def _updates(self) -> int:
        """Mini-batches of a train batch."""
        return self.config.data.train_batch_size // self.config.actor_rollout_ref.actor.ppo_mini_batch_size

    def _log_rollout_data(self, batch: KVBatchMeta, timing_raw: dict, rollout_data_dir: str) -> None:
        # Each rollout is logged once, in the step that first trains on it; what pads the batch is none.
        if len(fresh := real_rows(fresh_rows(batch))):
            super()._log_rollout_data(fresh, timing_raw, rollout_data_dir)

    # --- checkpoints -----------------------------------------------------------------------------------------

    def save_stages(self, folder: Path) -> None:
        self.stages.save(folder)

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        self.stages = Stages(self, self.dots)
        if self.checkpoint is not None:
            self.stages.load(self.checkpoint)

    def generated_tokens(self, batch: KVBatchMeta, metrics: dict) -> int:
        sampled = [tag for tag in unstored_rows(batch).tags if not tag.get("is_padding")]
        tokens = sum(tag["response_len"] for tag in sampled)
        beside = ("training/unused_tokens", "training/dropped_tokens", "preemptive/tokens_ahead")
        return tokens + sum(metrics.get(name, 0) for name in beside)

    def _compute_metrics(self, batch: KVBatchMeta, metrics, *args, **kwargs) -> None:
        super()._compute_metrics(batch, metrics, *args, **kwargs)
        metrics[TOKENS] = self.generated_tokens(batch, metrics)
