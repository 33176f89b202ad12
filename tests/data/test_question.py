"""Ids of questions."""

import numpy as np
import pytest

from tests.data_files import row
from verl_dots.data.question import question_id

PROMPT = row()["prompt"]


def test_the_id_is_pinned():
    # sha256 of [[["user","What is 1 plus 1?"]],"2"], first 16 hex digits; it must never change: runs are keyed by it
    assert question_id(PROMPT, "2") == "e8cebe6aad6f3e0f"
    assert question_id(PROMPT, "3") != question_id(PROMPT, "2")


def test_an_answer_that_is_no_string_counts_as_its_json():
    assert question_id(PROMPT, 2) == question_id(PROMPT, np.int64(2)) == question_id(PROMPT, "2")
    assert question_id(PROMPT, ["2", 3]) == question_id(PROMPT, np.array(["2", 3], object))
    assert question_id(PROMPT, ["2", 3]) == question_id(PROMPT, '["2", 3]')
    assert question_id(PROMPT, {"b": 1, "a": 2}) == question_id(PROMPT, {"a": 2, "b": 1})
    with pytest.raises(TypeError, match="got set"):
        question_id(PROMPT, {1})
