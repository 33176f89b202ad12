"""Rollout replay in a train step: earlier groups go back into verl's TransferQueue, new informative ones are kept.

Which groups are kept and replayed is `verl_dots.replay`'s business, how their age is corrected the loss's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from verl_dots.config import DotsConfig
from verl_dots.integration.groups import place_of
from verl_dots.integration.off_policy_stage import REPLAYED, TEMPERATURE
from verl_dots.integration.train_questions import FreshQuestions, TrainQuestions
from verl_dots.replay.buffer import ReplayBuffer
from verl_dots.replay.groups import ReplayError, ReplayGroup, Response, pack
from verl_dots.replay.sampling import Nearest, Sampling, freshest, uniform
from verl_dots.state import load_state, require_equal, require_keys, save_state

STATE_FILE = "replay.safetensors"
KIND = "replay"
SEED_STREAM = 4  # apart from every other generator that is seeded with dots.seed
STORED = ("prompts", "responses", "response_mask", "rm_scores", "num_turns")


class ReplayStage:
    """Replay for one run of the trainer.

    Args:
        dots: the settings.
        questions: of the data set.
        source: where fresh questions come from.
        batch_size: B, questions of a train batch.
        rollout: verl's settings of it, with the step's temperature.
    """

    def __init__(
        self, dots: DotsConfig, questions: TrainQuestions, source: FreshQuestions, batch_size: int, rollout: Any
    ):
        self.dots, self.questions, self.source = dots, questions, source
        self.batch_size, self.rollout = batch_size, rollout
        rng = np.random.default_rng([dots.seed, SEED_STREAM])
        settings = dots.replay
        self.buffer = ReplayBuffer(settings.capacity, dots.reward_range, settings.max_age, _sampling(dots), rng)
        self.metrics: dict[str, float] = {}  # of this step so far

    # --- a step ----------------------------------------------------------------------------------------------

    def next_questions(self, step: int, reused: Sequence[int]) -> np.ndarray:
        """Questions to roll out in this step; the groups that are replayed are put into the train partition.

        Args:
            step: this one.
            reused: questions whose rollouts of this step are in the train partition already.
        """
        self.buffer.expire(step)
        planned_N = self.source.planned()
        taken = {*planned_N.tolist(), *reused}
        ids = self.questions.known.ids
        groups = self.buffer.sample(self.batch_size - len(taken), exclude=[ids[question] for question in taken])
        taken |= {self.questions.number(group.question) for group in groups}
        extra_N = self.source.top_up(self.batch_size - len(taken), taken)
        if len(taken) + len(extra_N) < self.batch_size:
            raise ReplayError(
                f"step {step}: a batch of {self.batch_size} different questions cannot be filled from "
                f"{len(self.questions)}; lower data.train_batch_size or add data"
            )
        self._put_back(groups, step)
        self.metrics = self._figures(groups, step) | {"replay/topped_up_groups": float(len(extra_N))}
        return np.concatenate([planned_N, extra_N])

    def store(self, batch: KVBatchMeta, question_of: Mapping[str, int], step: int) -> dict[str, float]:
        """Keep the informative groups among this step's own, and return the metrics of replay in this step.

        Args:
            batch: the train batch, with old_log_probs where they are the behaviour policy's.
            question_of: question of each uid of this step.
            step: this one.

        Raises:
            ReplayError: rollouts that cannot be kept.
        """
        own = [place for place, key in enumerate(batch.keys) if place_of(key)[0] in question_of]
        self.buffer.put(self._pack([batch.keys[place] for place in own], batch.partition_id, question_of, step))
        figures = {"groups": len(self.buffer), "fill": len(self.buffer) / self.buffer.capacity}
        self.metrics |= {f"replay/buffer/{name}": float(value) for name, value in figures.items()}
        self.metrics["replay/buffer/bytes"] = float(self.buffer.nbytes)
        return self.metrics

    def _figures(self, groups: Sequence[ReplayGroup], step: int) -> dict[str, float]:
        metrics = {
            "replay/share": len(groups) / self.batch_size,
            "replay/tokens_not_generated": float(sum(group.lengths_G.sum() for group in groups)),
        }
        if groups:
            ages = [step - group.step for group in groups]
            metrics |= {"replay/age/mean": float(np.mean(ages)), "replay/age/max": float(max(ages))}
        return metrics

    # --- rows of the TransferQueue ---------------------------------------------------------------------------

    def _put_back(self, groups: Sequence[ReplayGroup], step: int) -> None:
        """Groups as rows of the train partition, with the fields that verl's agent loop gives to fresh ones."""
        if not groups:
            return
        uids = [f"step{step:07d}-replay{number:06d}" for number in range(len(groups))]
        keys, fields, tags = [], [], []
        for uid, group in zip(uids, groups, strict=True):
            row = self.questions.row(self.questions.number(group.question))
            for session, response in enumerate(group.responses()):
                keys.append(f"{uid}_{session}_0")
                fields.append(_fields(row, uid, session, group, response))
                tags.append(_tag(group, response))
        tq.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(fields), tags=tags)
        prompt = {"is_prompt": True, "status": "finished", "global_steps": step}
        tq.kv_batch_put(keys=uids, partition_id="train", tags=[dict(prompt) for _ in uids])

    def _pack(
        self, keys: Sequence[str], partition: str, question_of: Mapping[str, int], step: int
    ) -> list[ReplayGroup]:
        if not keys:
            return []
        log_probs = "old_log_probs" if self.dots.loss.behaviour == "recomputed" else "rollout_log_probs"
        names = [*STORED, log_probs]
        found = tq.kv_batch_get(keys=list(keys), partition_id=partition, select_fields=names)
        columns = [list(found[name]) if name == "num_turns" else found[name].unbind() for name in names]
        rows = zip(keys, *columns, strict=True)
        prompts: dict[str, np.ndarray] = {}
        responses: dict[str, list[tuple[int, Response]]] = {}
        for key, prompt_N, tokens_T, mask_T, reward_T, turns, log_probs_T in rows:
            uid, session, output = place_of(key)
            if output:
                raise ReplayError(f"{uid}, rollout {session} has several outputs; replay keeps one output a rollout")
            prompts[uid] = prompt_N.numpy()
            reward, mask_T = float(reward_T.sum()), mask_T.bool().numpy()
            response = Response(tokens_T.numpy(), log_probs_T.numpy(), reward, mask_T, int(turns))
            responses.setdefault(uid, []).append((session, response))
        ids = self.questions.known.ids
        return [
            pack(
                ids[question_of[uid]],
                step,
                float(self.rollout.temperature),
                prompts[uid],
                [one for _, one in sorted(of_uid, key=lambda pair: pair[0])],
            )
            for uid, of_uid in sorted(responses.items())
        ]

    # --- checkpoints -----------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the buffer and its generator."""
        state = {"fingerprint": self.questions.known.fingerprint, "buffer": self.buffer.state_dict()}
        save_state(folder / STATE_FILE, KIND, state)

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote. Raises StateError where it is missing, damaged, or of other questions."""
        state = load_state(folder / STATE_FILE, KIND)
        require_keys(str(folder / STATE_FILE), state, {"fingerprint", "buffer"})
        require_equal("fingerprint of the training questions", state["fingerprint"], self.questions.known.fingerprint)
        self.buffer.load_state_dict(state["buffer"])


def _sampling(dots: DotsConfig) -> Sampling:
    named = {"uniform": uniform, "freshest": freshest, "nearest": Nearest(dots.selection.alpha, *dots.reward_range)}
    return named[dots.replay.sampling]


def _fields(row: Mapping[str, Any], uid: str, session: int, group: ReplayGroup, response: Response) -> dict[str, Any]:
    prompt = torch.from_numpy(group.prompt_N.astype(np.int64))
    tokens = torch.from_numpy(response.tokens_T.astype(np.int64))
    mask = torch.ones_like(tokens) if response.mask_T is None else torch.from_numpy(response.mask_T.astype(np.int64))
    reward = torch.zeros(len(tokens))
    reward[-1] = response.reward
    return {
        **row,
        "uid": uid,
        "session_id": session,
        "global_steps": group.step,
        "prompts": prompt,
        "responses": tokens,
        "input_ids": torch.cat([prompt, tokens]),
        "position_ids": torch.arange(len(prompt) + len(tokens)),
        "response_mask": mask,
        "loss_mask": mask,
        "rollout_log_probs": torch.from_numpy(response.log_probs_T.copy()),
        "rm_scores": reward,
        "num_turns": response.turns,
        "metrics": {},
        "extra_fields": {},
        "multi_modal_inputs": {},
    }


def _tag(group: ReplayGroup, response: Response) -> dict[str, Any]:
    # The weights that generate in a step are those of the step before.
    steps = {"global_steps": group.step, "min_global_steps": group.step - 1, "max_global_steps": group.step - 1}
    lengths = {"prompt_len": len(group.prompt_N), "response_len": len(response.tokens_T)}
    own = {REPLAYED: True, TEMPERATURE: group.temperature}
    return {"status": "success", **own, **steps, **lengths, "seq_len": sum(lengths.values())}
