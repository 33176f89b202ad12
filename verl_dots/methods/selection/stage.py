"""DOTS's selection stage of a train step: reference rollouts, predictions, and the batches chosen by them.

What is chosen is `verl_dots.curriculum`'s business, how difficulty is predicted `verl_dots.difficulty`'s; here both
meet verl's trainer: its data set, agent loop and TransferQueue.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu
from verl.utils.debug import marked_timer

from verl_dots.bridge.agent_loop import FIRST_ROLLOUT, PARTITION
from verl_dots.bridge.groups import Group, groups_of, incomplete, place_of
from verl_dots.bridge.rows import without_groups
from verl_dots.config import DotsConfig
from verl_dots.difficulty.predictors import identity_of
from verl_dots.methods.selection.rule import fresh_count
from verl_dots.methods.selection.state import SelectionCurriculum
from verl_dots.methods.selection.worker import DifficultyWorkerGroup
from verl_dots.state import require_equal, require_keys
from verl_dots.training.failures import RolloutFailure
from verl_dots.training.train_questions import TrainQuestions

logger = logging.getLogger(__name__)

REFERENCE_PARTITION = "reference"
# References and fresh rollouts of one question in one step must not draw the same random numbers.
FIRST_REFERENCE_ROLLOUT = 1_000_000
SEED_STREAM = 2506_05316  # apart from every other generator that is seeded with dots.seed


@dataclass
class ReferenceRollouts:
    """The rollouts of a round's references, in their partition.

    Attributes:
        batch: rows of the complete groups.
        uids: of these groups, in the order of their references.
        groups: of them.
        complete_K: bool, which references have a complete group.
        dropped_tokens: of the groups of which rollouts failed.
    """

    batch: KVBatchMeta
    uids: np.ndarray
    groups: dict[str, Group]
    complete_K: np.ndarray
    dropped_tokens: int


class SelectionStage:
    """Selection for one run of the trainer.

    Args:
        trainer: verl's, with its data set and workers set up.
        dots: the settings.
        questions: of the trainer's data set.

    Raises:
        ValueError: data that cannot be selected from.
    """

    def __init__(self, trainer: Any, dots: DotsConfig, questions: TrainQuestions):
        self.trainer, self.dots, self.questions = trainer, dots, questions
        rng = np.random.default_rng([dots.seed, SEED_STREAM])
        batch_size = trainer.config.data.train_batch_size
        fresh = fresh_count(batch_size, dots.replay.delta) if dots.replay.enable else None
        self.curriculum = SelectionCurriculum(dots.selection, len(questions), batch_size, rng, fresh)
        pool = next(iter(trainer.resource_pool_manager.resource_pool_dict.values()))
        self.predictor = DifficultyWorkerGroup(dots.difficulty, pool, trainer.config.trainer.device)
        self.predictor.embed(questions.known.texts, questions.known.answers)
        self.reused: dict[str, int] = {}  # uid -> question, of the references that this step trains on

    # --- a step ----------------------------------------------------------------------------------------------

    def prepare(self, timing_raw: dict) -> dict[str, float]:
        """Plan the batches of a round where one is due, and return its metrics.

        To be called at the beginning of a step, with the engine holding the current weights.
        """
        self.reused = {}
        if not self.curriculum.round_due:
            return {}
        with marked_timer("selection", timing_raw):
            references_K = self.curriculum.begin_round()
            if not len(references_K):
                self.curriculum.plan_uniform()
                return {"selection/trusted": 0.0}
            return self._round(references_K, timing_raw)

    def _round(self, references_K: np.ndarray, timing_raw: dict) -> dict[str, float]:
        step = self.trainer.global_steps
        with marked_timer("reference_rollouts", timing_raw):
            rollouts = self._roll_out(references_K)
        references_K = references_K[rollouts.complete_K]
        groups = [rollouts.groups[uid] for uid in rollouts.uids]
        measured_K = np.array([self._difficulty(group) for group in groups])
        effective_K = np.array([group.effective for group in groups])
        with marked_timer("predict_difficulty", timing_raw):
            sizes_K = np.array([group.size for group in groups])
            self.predictor.observe(step, references_K, measured_K, sizes_K)
            predicted_P, held_out_K = self.predictor.predict(step, references_K, measured_K)
        reused_R = self.curriculum.plan(references_K, measured_K, effective_K, held_out_K, predicted_P)
        self.reused = {str(rollouts.uids[place]): int(references_K[place]) for place in reused_R}
        unused_tokens = self._hand_over(rollouts) + rollouts.dropped_tokens
        metrics = {
            "selection/trusted": float(not self.curriculum.trust.paused),
            "selection/reference/difficulty": float(measured_K.mean()),
            "selection/reference/effective_groups": float(effective_K.mean()),
            "selection/reference/reused_groups": float(len(reused_R)),
            "selection/reference/rho": self.curriculum.trust.rho,
            "selection/predicted_difficulty/all": float(predicted_P.mean()),
            "training/unused_tokens": float(unused_tokens),
        }
        return {name: value for name, value in metrics.items() if np.isfinite(value)}

    def planned(self) -> np.ndarray:
        """The questions to roll out in this step."""
        return self.curriculum.next_batch()

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""
        return self.curriculum.top_up(count, exclude)

    def predicted(self, questions_N: np.ndarray) -> np.ndarray:
        """Predicted difficulty of questions of this round; 0.5 for those without."""
        return self.curriculum.predicted(questions_N)

    def observe(self, groups: Mapping[str, Group], question_of: Mapping[str, int]) -> dict[str, float]:
        """Take in what the rollouts of this step showed, and return how well it was predicted.

        Args:
            groups: of the train batch.
            question_of: question of each uid that was rolled out in this step and is no reference.
        """
        fresh = {uid: group for uid, group in groups.items() if uid in question_of}
        if not fresh:
            return {}
        questions_N = np.array([question_of[uid] for uid in fresh])
        difficulty_N = np.array([self._difficulty(group) for group in fresh.values()])
        sizes_N = np.array([group.size for group in fresh.values()])
        self.predictor.observe(self.trainer.global_steps, questions_N, difficulty_N, sizes_N)
        metrics = {
            f"selection/{name}": value for name, value in self.curriculum.observe(questions_N, difficulty_N).items()
        }
        metrics["selection/effective_groups"] = float(np.mean([group.effective for group in fresh.values()]))
        return metrics

    # --- reference rollouts ----------------------------------------------------------------------------------

    def _roll_out(self, references_K: np.ndarray) -> ReferenceRollouts:
        trainer, step = self.trainer, self.trainer.global_steps
        batch = self.questions.batch(references_K, step)
        uids = np.array([f"step{step:07d}-reference{place:06d}" for place in range(len(batch))], dtype=object)
        columns = {
            "uid": uids,
            PARTITION: np.array([REFERENCE_PARTITION] * len(batch), dtype=object),
            FIRST_ROLLOUT: np.array([FIRST_REFERENCE_ROLLOUT] * len(batch), dtype=object),
        }
        for name, values in columns.items():
            batch[name] = tu.get_tensordict({name: values})[name]
        tags = [{"is_prompt": True, "status": "pending", "global_steps": step} for _ in uids]
        tq.kv_batch_put(keys=list(uids), partition_id=REFERENCE_PARTITION, tags=tags)
        trainer.agent_loop_manager.generate_sequences(batch)
        found, _ = trainer.replay_buffer.sample(
            global_steps=step, partition_id=REFERENCE_PARTITION, batch_size=len(uids)
        )
        if trainer.reward_loop_manager.reward_loop_worker_handles is None:
            # A reward model on the same devices: as in verl's validation, engine and reward model take turns.
            trainer.checkpoint_manager.sleep_replicas()
            found = trainer._compute_reward_colocate(found)
            trainer.checkpoint_manager.update_weights(step - 1)
        missing = incomplete(found.keys, {uid: trainer.config.actor_rollout_ref.rollout.n for uid in uids})
        trainer.count_failed(sum(missing.values()), len(missing))
        found, tokens = without_groups(found, missing)
        complete_K = np.array([uid not in missing for uid in uids])
        if not complete_K.any():
            raise RolloutFailure("no group of the references is complete")
        return ReferenceRollouts(found, uids[complete_K], groups_of(found), complete_K, tokens)

    def _hand_over(self, rollouts: ReferenceRollouts) -> int:
        """Move the reused groups into the train partition, forget the others, and return the others' tokens."""
        moved = [place for place, key in enumerate(rollouts.batch.keys) if place_of(key)[0] in self.reused]
        if moved:
            keys, tags = ([column[place] for place in moved] for column in (rollouts.batch.keys, rollouts.batch.tags))
            fields = tq.kv_batch_get(keys=keys, partition_id=REFERENCE_PARTITION)
            tq.kv_batch_put(keys=keys, partition_id="train", fields=fields, tags=tags)
            prompt = {"is_prompt": True, "status": "finished", "global_steps": self.trainer.global_steps}
            tq.kv_batch_put(keys=list(self.reused), partition_id="train", tags=[dict(prompt) for _ in self.reused])
        tq.kv_clear(keys=rollouts.batch.keys, partition_id=REFERENCE_PARTITION)
        kept = set(moved)
        return sum(tag["response_len"] for place, tag in enumerate(rollouts.batch.tags) if place not in kept)

    def _difficulty(self, group: Group) -> float:
        low, high = self.dots.reward_range
        difficulty = (high - group.mean_reward) / (high - low)
        if not -1e-6 <= difficulty <= 1 + 1e-6:
            raise ValueError(
                f"{group.uid}: mean reward {group.mean_reward} is outside dots.reward_range=[{low}, {high}]; set it to "
                "the least and greatest reward that the reward function gives"
            )
        return min(max(difficulty, 0.0), 1.0)

    # --- checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next selection depends on."""
        return {
            "identity": identity_of(self.dots.difficulty),
            "curriculum": self.curriculum.state_dict(),
            "predictor": self.predictor.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over such a state, all of it, or raise StateError: of other embeddings or predictor weights, too."""
        require_keys("selection", state, {"identity", "curriculum", "predictor"})
        for name, value in identity_of(self.dots.difficulty).items():
            require_equal(f"{name} of dots.difficulty", state["identity"].get(name), value)
        self.curriculum.load_state_dict(state["curriculum"])
        self.predictor.load_state_dict(state["predictor"])
