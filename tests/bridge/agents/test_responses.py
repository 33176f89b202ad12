"""What an engine may answer."""

import math

import pytest

from verl_dots.bridge.agents.responses import EngineError, require_usable_response


@pytest.mark.parametrize("log_probs", [None, [], [-0.5, 0.0]])
def test_responses_that_can_be_trained_on(log_probs):
    require_usable_response([0, 9], log_probs, vocabulary=10)


@pytest.mark.parametrize(
    ("token_ids", "log_probs", "told"),
    [
        ([], [], "no token"),
        ([3, 10], [0.0, 0.0], r"tokens \[10\]; the model knows 0 to 9"),
        ([-1], None, r"tokens \[-1\]"),
        ([1, 2], [-0.5], "2 tokens and 1 log-probs"),
        ([1, 2], [-0.5, math.nan], r"no numbers: \[nan\]"),
        ([1, 2], [-math.inf, math.inf], r"no numbers: \[-inf, inf\]"),
    ],
)
def test_responses_that_cannot(token_ids, log_probs, told):
    with pytest.raises(EngineError, match=told):
        require_usable_response(token_ids, log_probs, vocabulary=10)
