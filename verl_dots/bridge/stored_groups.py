"""Groups that are kept between steps: from rows of verl's TransferQueue, and back to rows of its train partition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from verl_dots.bridge.groups import place_of
from verl_dots.bridge.rows import REPLAYED, STORED, TEMPERATURE
from verl_dots.methods.stored import ReplayError, ReplayGroup, Response, pack
from verl_dots.training.train_questions import TrainQuestions

FIELDS = ("prompts", "responses", "response_mask", "rm_scores", "num_turns")


def pack_rows(
    keys: Sequence[str], partition: str, ids: Mapping[str, str], step: int, temperature: float, log_probs: str
) -> list[ReplayGroup]:
    """Groups of some rows, in the order of their uids.

    Args:
        keys: of the rows.
        partition: that they are in.
        ids: id of the question of each of their uids.
        step, temperature: that they were sampled in and at.
        log_probs: field with those of the behaviour policy.

    Raises:
        ReplayError: rollouts that cannot be kept.
    """
    if not keys:
        return []
    names = [*FIELDS, log_probs]
    found = tq.kv_batch_get(keys=list(keys), partition_id=partition, select_fields=names)
    columns = [list(found[name]) if name == "num_turns" else found[name].unbind() for name in names]
    prompts: dict[str, np.ndarray] = {}
    responses: dict[str, list[tuple[int, Response]]] = {}
    for key, prompt_N, tokens_T, mask_T, reward_T, turns, log_probs_T in zip(keys, *columns, strict=True):
        uid, session, output = place_of(key)
        if output:
            raise ReplayError(f"{uid}, rollout {session} has several outputs; one output a rollout can be kept")
        prompts[uid] = prompt_N.numpy()
        reward, mask_T = float(reward_T.sum()), mask_T.bool().numpy()
        response = Response(tokens_T.numpy(), log_probs_T.numpy(), reward, mask_T, int(turns))
        responses.setdefault(uid, []).append((session, response))
    return [
        pack(ids[uid], step, temperature, prompts[uid], [one for _, one in sorted(of_uid, key=lambda pair: pair[0])])
        for uid, of_uid in sorted(responses.items())
    ]


def put_back(
    questions: TrainQuestions, groups: Sequence[ReplayGroup], uids: Sequence[str], step: int, trained_on: bool
) -> None:
    """Groups as rows of the train partition, with the fields that verl's agent loop gives to fresh ones.

    Args:
        questions: of the data set.
        groups: to put there.
        uids: what to call them.
        step: this one.
        trained_on: whether an earlier step has trained on them.
    """
    if not groups:
        return
    keys, fields, tags = [], [], []
    for uid, group in zip(uids, groups, strict=True):
        row = questions.row(questions.number(group.question))
        for session, response in enumerate(group.responses()):
            keys.append(f"{uid}_{session}_0")
            fields.append(_fields(row, uid, session, group, response))
            tags.append(_tag(group, response) | {REPLAYED: trained_on})
    tq.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(fields), tags=tags)
    prompt = {"is_prompt": True, "status": "finished", "global_steps": step}
    tq.kv_batch_put(keys=list(uids), partition_id="train", tags=[dict(prompt) for _ in uids])


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
    own = {STORED: True, TEMPERATURE: group.temperature}
    return {"status": "success", **own, **steps, **lengths, "seq_len": sum(lengths.values())}
