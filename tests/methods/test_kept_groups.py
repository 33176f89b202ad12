"""Kept groups of a checkpoint are of the data, the model and the past of the run that resumes, or are refused."""

from dataclasses import replace

import numpy as np
import pytest

from tests.methods.memory import carry_over, make_run
from tests.refusals import refused
from verl_dots.methods.dash.preemptive_stage import Preemptive
from verl_dots.methods.kept_groups import require_sampled
from verl_dots.methods.replay.stage import Replay
from verl_dots.state import StateError
from verl_dots.stored import Response, pack

REPLAY = {"replay": {"enable": True}}
PREEMPTIVE = {"preemptive": {"enable": True, "prompts": 8, "updates": 4}}
# A question that is not in the data; the model's 16 tokens are 0 to 15; the checkpoint is of step 3.
WRONG = (
    ("questions", {"question": "zz"}, "a question of the data"),
    ("steps", {"step": 4}, "at most 3"),
    ("steps", {"step": 10**6}, "at most 3"),
    ("tokens_N", {"tokens_N": np.array([3, 16], np.int32)}, "0 to 15"),
    ("prompt_N", {"prompt_N": np.array([10**9], np.int32)}, "0 to 15"),
)


def run(dots=REPLAY):
    return make_run(dots, resumed=3)


def kept(question="", **changes):
    """A group of question 2 of the data, with a token of the greatest id and of the checkpoint's own step."""
    responses = [Response(np.array([token]), np.array([-0.5]), reward) for token, reward in ((15, 1.0), (3, 0.0))]
    group = pack(question or run().questions.known.ids[2], 3, 1.0, np.array([15]), responses)
    return replace(group, **changes)


@pytest.mark.parametrize(("key", "changes", "rule"), WRONG, ids=range(len(WRONG)))
def test_a_group_that_the_run_cannot_have_sampled_is_refused_by_each_stage_that_keeps_any(key, changes, rule):
    one = Replay.make(run())
    one.buffer.put([kept(**changes)])
    with refused(key, "damaged", rule, kind=StateError):
        Replay.make(run()).load_state_dict(one.state_dict())
    one = Preemptive.make(run(PREEMPTIVE))
    one.cache.begin(2)
    one.cache.keep(1, [kept(**changes)])
    with refused(key, "damaged", rule, kind=StateError):
        Preemptive.make(run(PREEMPTIVE)).load_state_dict(one.state_dict())


def test_what_the_run_has_sampled_is_taken_over(tmp_path):
    one, restored = Replay.make(run()), Replay.make(run())
    one.buffer.put([kept()])
    carry_over(one, restored, tmp_path)
    assert len(restored.buffer) == 1


def test_a_model_may_know_more_tokens_than_its_tokenizer():
    """An embedding of 20 rows for 16 tokens: what such a model has sampled must be there after a resume."""
    group = kept(tokens_N=np.array([3, 19], np.int32))
    require_sampled(make_run(REPLAY, resumed=3, tokens=20), group)
    with refused("tokens_N", "damaged", "0 to 18"):
        require_sampled(make_run(REPLAY, resumed=3, tokens=19), group)
