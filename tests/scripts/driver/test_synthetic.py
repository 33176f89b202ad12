"""Synthetic rollouts are rows as verl's agent loop writes them."""

import numpy as np
import torch

from scripts.driver.synthetic import LEAST_SHARE, group_rows, response_lengths
from tests.methods.conftest import queue  # noqa: F401
from tests.methods.memory import DataSet, TrainQuestions
from verl_dots.bridge.queue.rows import Rows, put_rows
from verl_dots.bridge.queue.stored_rows import pack_rows
from verl_dots.step import Step

QUESTION = {"raw_prompt": [{"role": "user", "content": "question 0"}], "reward_model": {}, "data_source": "synthetic"}


def made(uid="step0000002-prompt000000", size=8, step=2, longest=64):
    return group_rows(QUESTION, uid, size, step, longest, seed=1)


def test_lengths_are_unequal_up_to_the_longest():
    lengths_N = response_lengths(1000, 64, np.random.default_rng(1))
    assert lengths_N.max() == 64 and lengths_N.min() == 64 // LEAST_SHARE
    assert 34 < lengths_N.mean() < 38  # uniform from 8 to 64: 36, and 0.5 is the deviation of the mean


def test_types_and_lengths_are_those_of_the_agent_loop():
    keys, fields, tags = made()
    assert keys[3] == "step0000002-prompt000000_3_0" and len({len(row["responses"]) for row in fields}) > 1
    for row, tag in zip(fields, tags, strict=True):
        T, P = len(row["responses"]), len(row["prompts"])
        assert (tag["response_len"], tag["prompt_len"], tag["seq_len"]) == (T, P, T + P)
        assert (tag["global_steps"], tag["min_global_steps"]) == (2, 1) and row["rm_scores"][:-1].sum() == 0
        for name, (kind, length) in {
            "prompts": (torch.int64, P), "responses": (torch.int64, T), "input_ids": (torch.int64, P + T),
            "position_ids": (torch.int64, P + T), "response_mask": (torch.int64, T), "loss_mask": (torch.int64, T),
            "rollout_log_probs": (torch.float32, T), "rm_scores": (torch.float32, T),
        }.items():  # fmt: skip
            assert row[name].dtype == kind and row[name].shape == (length,), name
    assert {float(row["rm_scores"][-1]) for row in fields} <= {0.0, 1.0}


def test_the_same_seed_gives_the_same_rows():
    (_, one, _), (_, other, _) = made(), made()
    assert all(torch.equal(a["responses"], b["responses"]) for a, b in zip(one, other, strict=True))
    assert not torch.equal(one[0]["prompts"][:50], made("step0000002-prompt000001")[1][0]["prompts"][:50])


def test_they_pass_for_rollouts_of_a_step(queue):  # noqa: F811
    questions, step = TrainQuestions(DataSet(2), "prompt", "keep"), Step(2)
    keys, fields, tags = made()
    put_rows(keys, fields, tags)
    step.question_of["step0000002-prompt000000"] = 1
    rows = Rows.of(keys, tags)
    (group,) = rows.groups(step.question_of).values()
    assert group.size == 8 and group.sampled == 2 and group.question == 1
    (packed,) = pack_rows(rows, questions, step, "rollout_log_probs")
    assert packed.lengths_G.tolist() == [tag["response_len"] for tag in tags] and packed.step == 2
