"""Groups that are kept between steps: from rows of verl's TransferQueue, and back to rows of its train partition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.row_tags import ORIGIN, TEMPERATURE, place_of, sampled_in
from verl_dots.bridge.queue.rows import TRAIN, Rows, announce, put_rows
from verl_dots.step import Origin, Step
from verl_dots.stored import ReplayError, ReplayGroup, Response, pack

# Of rows that are in this process at once, some 50 bytes each, twice: more would only be held.
PIECE_TOKENS = 1 << 22
FIELDS = ("prompts", "responses", "response_mask", "rm_scores", "num_turns")


def pack_rows(rows: Rows, questions: TrainQuestions, step: Step, log_probs: str) -> list[ReplayGroup]:
    """Groups of some rows that the step has sampled, in the order of their uids.

    Args:
        rows: with all fields of a trajectory.
        questions: of the data set.
        step: at hand; it tells the question of each uid, and the temperature where a row has none of its own.
        log_probs: field with those of the behaviour policy.

    Raises:
        ReplayError: rollouts that cannot be kept.
    """
    places: dict[str, list[int]] = {}
    for place, uid in enumerate(rows.uids):
        places.setdefault(uid, []).append(place)
    names = sorted(places)
    tokens = [sum(rows.tags[place]["seq_len"] for place in places[uid]) for uid in names]
    groups = []
    for piece in pieces(tokens, PIECE_TOKENS):
        part = rows.at([place for number in piece for place in places[names[number]]])
        groups += _packed(part, questions, step, log_probs)
    return groups


def pieces(tokens: Sequence[int], most: int) -> list[range]:
    """Ranges of places, each with at most so many tokens, or one place alone: what is fetched or written in a call."""
    found, first, held = [], 0, 0
    for place, count in enumerate(tokens):
        if held and held + count > most:
            found.append(range(first, place))
            first, held = place, 0
        held += count
    return [*found, range(first, len(tokens))] if len(tokens) else []


def _packed(rows: Rows, questions: TrainQuestions, step: Step, log_probs: str) -> list[ReplayGroup]:
    prompts: dict[str, np.ndarray] = {}
    tags: dict[str, list[dict[str, Any]]] = {}
    responses: dict[str, list[tuple[int, Response]]] = {}
    columns = rows.get(*FIELDS, log_probs)
    for key, tag, prompt_N, tokens_T, mask_T, reward_T, turns, log_probs_T in zip(
        rows.keys, rows.tags, *columns, strict=True
    ):
        uid, session, output = place_of(key)
        if output:
            text = f"{uid}, rollout {session} has several outputs; one output a rollout can be kept"
            raise ReplayError(text, key=uid, reason="data")
        prompts[uid] = prompt_N.numpy()
        tags.setdefault(uid, []).append(tag)
        reward, mask_T = float(reward_T.sum()), mask_T.bool().numpy()
        response = Response(tokens_T.numpy(), log_probs_T.numpy(), reward, mask_T, int(turns))
        responses.setdefault(uid, []).append((session, response))
    groups = []
    for uid, of_uid in sorted(responses.items()):
        identity = questions.known.ids[step.question_of[uid]]
        ordered = [response for _, response in sorted(of_uid, key=lambda pair: pair[0])]
        sampled = min(map(sampled_in, tags[uid]))
        temperature = float(tags[uid][0].get(TEMPERATURE, step.temperature))
        groups.append(pack(identity, sampled, temperature, prompts[uid], ordered))
    return groups


def put_back(questions: TrainQuestions, groups: Sequence[ReplayGroup], step: Step, origin: Origin) -> None:
    """Make kept groups part of a step, which learns their questions.

    Args:
        questions: of the data set.
        groups: to put into the train partition.
        step: at hand.
        origin: CACHED or REPLAYED; the groups are named after it.
    """
    if not groups:
        return
    numbers = [questions.number(group.question) for group in groups]
    uids = [step.name(origin.value, place) for place in range(len(groups))]
    step.question_of |= dict(zip(uids, numbers, strict=True))
    tokens = [len(group.tokens_N) + len(group) * len(group.prompt_N) for group in groups]
    for piece in pieces(tokens, PIECE_TOKENS):
        keys, fields, tags = [], [], []
        for place in piece:
            uid, group, row = uids[place], groups[place], questions.row(numbers[place])
            for session, response in enumerate(group.responses()):
                keys.append(f"{uid}_{session}_0")
                fields.append(_fields(row, uid, session, group, response))
                tags.append(_tag(group, response) | {ORIGIN: origin.value})
        put_rows(keys, fields, tags)
    announce(uids, TRAIN, step.number)


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
    return {"status": "success", TEMPERATURE: group.temperature, **steps, **lengths, "seq_len": sum(lengths.values())}
