"""verl's synchronous V1 trainer with what every run of this project needs: exact repetition and a run folder.

Wiring only: what is computed lives elsewhere, what the training loop does is verl's.
"""

from collections import Counter

import numpy as np
from omegaconf import DictConfig, OmegaConf, open_dict
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer
from verl.utils import tensordict_utils as tu

from verl_dots.config import DotsConfig
from verl_dots.integration.run_folder import RunFolder


class RolloutFailure(RuntimeError):
    """Rollouts of a step are missing: the engine or the reward raised for them."""


@register_trainer("dots")
class DotsTrainer(PPOTrainerSync):
    """Synchronous trainer; with `dots` at its defaults it trains exactly as verl's own."""

    def __init__(self, config: DictConfig):
        with open_dict(config):
            # verl asks in many places whether the mode is "sync", by its name in the config.
            config.trainer.v1.trainer_mode = "sync"
        self.dots = DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True))
        self._submitted: Counter[str] = Counter()
        self._uid_step, self._uid_count = -1, 0
        super().__init__(config)
        self.replay_buffer.poll_interval = self.dots.poll_seconds

    # --- the same run every time -----------------------------------------------------------------------------

    def _next_train_batch(self, num_prompts: int | None = None) -> TensorDict:
        """verl's batch, its random uids replaced by names that sort in the order of the batch."""
        batch = super()._next_train_batch(num_prompts)
        if self._uid_step != self.global_steps:
            self._uid_step, self._uid_count = self.global_steps, 0
        numbers = range(self._uid_count, self._uid_count + len(batch))
        self._uid_count += len(batch)
        # verl splits keys at "_": none in a uid.
        uids = np.array([f"step{self.global_steps:07d}-prompt{number:06d}" for number in numbers], dtype=object)
        batch["uid"] = tu.get_tensordict({"uid": uids})["uid"]
        return batch

    def _submit_batch_to_rollout(self, batch: TensorDict) -> int:
        default = self.config.actor_rollout_ref.rollout.n
        sizes = list(batch["__rollout_n__"]) if "__rollout_n__" in batch else [default] * len(batch)
        self._submitted.update(dict(zip(batch["uid"], map(int, sizes), strict=True)))
        return super()._submit_batch_to_rollout(batch)

    def _balance_batch(self, batch: KVBatchMeta, metrics, *args, **kwargs) -> KVBatchMeta:
        """verl's balancing, of trajectories sorted by prompt and session instead of in order of completion."""
        places = [_place(key) for key in batch.keys]
        batch.reorder(sorted(range(len(places)), key=places.__getitem__))
        self._require_all_rollouts(batch)
        return super()._balance_batch(batch, metrics, *args, **kwargs)

    def _require_all_rollouts(self, batch: KVBatchMeta) -> None:
        """verl trains on what has arrived; a group with rollouts missing would be biased without a word.

        Groups of which nothing has arrived are missing too, unless verl has replaced them (DAPO's filter, or
        trainer.v1.sampler.sync_refill_failed_groups), in which case the batch has all its groups.
        """
        arrived = Counter(uid for uid, _ in {_place(key)[:2] for key in batch.keys})
        wanted, self._submitted = self._submitted, Counter()
        if len(arrived) >= self.config.data.train_batch_size:
            wanted = Counter({uid: wanted[uid] for uid in arrived})
        short = {uid: (arrived[uid], want) for uid, want in wanted.items() if arrived[uid] < want}
        missing = sum(want - have for have, want in short.values())
        if missing:
            raise RolloutFailure(
                f"step {self.global_steps}: {missing} rollouts of {len(short)} of {len(wanted)} prompts failed; the "
                "agent loop worker's log above says why (a prompt or response too long, or an error in the reward)"
            )

    # --- the run folder --------------------------------------------------------------------------------------

    def on_validate_begin(self) -> None:
        self._open_run_folder()
        super().on_validate_begin()

    def on_train_begin(self) -> None:
        self._open_run_folder()
        super().on_train_begin()

    def _open_run_folder(self) -> None:
        """Log to the run folder as to verl's trackers. verl makes its tracker in fit(), before these hooks."""
        if "run_folder" not in self.logger.logger:
            folder = self.config.trainer.default_local_dir
            self.logger.logger["run_folder"] = RunFolder(folder, self.config, self.global_steps)

    def _compute_metrics(self, batch: KVBatchMeta, metrics, *args, **kwargs) -> None:
        super()._compute_metrics(batch, metrics, *args, **kwargs)
        fresh = [tag for tag in batch.tags if not tag.get("is_padding") and tag["global_steps"] == self.global_steps]
        metrics["training/generated_tokens"] = sum(tag["response_len"] for tag in fresh)

    def _shutdown_dump_executor(self) -> None:
        """The last call of a fit() that completes; after an exception the run stays without an end."""
        super()._shutdown_dump_executor()
        self.logger.logger["run_folder"].finish()


def _place(key: str) -> tuple[str, int, int]:
    """(uid, session, output) of a trajectory's key `uid_session_output`."""
    uid, session, output = key.rsplit("_", 2)
    return uid, int(session), int(output)
