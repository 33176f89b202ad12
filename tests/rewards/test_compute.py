"""The dispatcher that verl calls."""

import importlib.util
import math
import subprocess
import sys

import pytest

from verl_dots.rewards import by_verl, compute, mathematics
from verl_dots.rewards.compute import (
    SCORERS,
    answer_problem,
    compute_score,
    reads_answers,
    register,
    source_problem,
    truth_problem,
)


@pytest.mark.parametrize(
    ("source", "response", "truth", "score", "acc"),
    [
        ("arithmetic", "so #### 42", "42", 1.0, 1.0),
        ("arithmetic", r"so \boxed{42}", "42", 0.0, 0.0),  # an exact match behind the marker
        ("arithmetic", "#### 42", 42, 1.0, 1.0),
        ("arithmetic", "#### 7", 7.0, 1.0, 1.0),  # of a column that holds a gap or decimals, too
        ("arithmetic", "#### 0.5", 0.5, 1.0, 1.0),
        ("openai/gsm8k", "#### 7", 7.0, 1.0, 1.0),
        ("math", r"so \boxed{0.5}", r"\frac{1}{2}", 1.0, 1.0),  # compared by value
        ("math500", r"so \boxed{0.4}", r"\frac{1}{2}", 0.0, 0.0),
        # Only verl knows these. Its gsm8k function wants "#### answer".
        ("openai/gsm8k", "so #### 42", 42, 1.0, 1.0),
        ("openai/gsm8k", "so #### 41", "42", 0.0, 0.0),
        # searchR1 compares what is between the tags with several names.
        ("searchR1_nq", "<answer>Austen</answer>", {"target": ["Jane Austen", "Austen"]}, 1.0, 1.0),
        # math_dapo scores -1 or 1 and adds "pred".
        ("math_dapo", "Answer: 41", "42", -1.0, 0.0),
        ("math_dapo", "Answer: 42", "42", 1.0, 1.0),
    ],
)
def test_the_source_picks_the_scorer(source, response, truth, score, acc):
    assert compute_score(source, response, truth) == {"score": score, "acc": acc}


def test_reward_kwargs_reach_the_scorer(monkeypatch):
    seen = []
    monkeypatch.setattr(mathematics, "score", lambda *arguments: seen.append(arguments) or 0.0)
    compute_score("math", "r", "g", None, math_timeout_seconds=2.5, math_workers=3, reward_router_address="x:1")
    compute_score("math", "r", "g")
    assert seen == [("r", "g", 2.5, 3), ("r", "g", 5.0, 2)]


def test_misspelt_reward_kwargs_are_refused():
    with pytest.raises(TypeError, match=r"math_timeout_second'.*known: \['math_timeout_seconds', 'math_workers'\]"):
        compute_score("arithmetic", "#### 1", "1", math_timeout_second=1)


def test_unknown_source_lists_the_known_ones():
    with pytest.raises(ValueError, match="no reward function for data source 'riddles'.*'arithmetic'.*register"):
        compute_score("riddles", "", "")


def test_what_a_reward_can_read():
    assert answer_problem("arithmetic", "42") is None
    kind, message = answer_problem("arithmetic", "42.")
    assert kind == "unreadable answer" and "cannot read the answer '42.'" in message  # a period ends the answer
    assert answer_problem("math", "\\frac{1}{2}") is None and answer_problem("math", "-3.5") is None
    assert "cannot read the answer 'my data source.'" in answer_problem("arithmetic", "my data source.")[1]
    assert reads_answers("math") and reads_answers("arithmetic")
    assert answer_problem("openai/gsm8k", "1") is None and not reads_answers("openai/gsm8k")  # verl's own to read


def test_sources_that_cannot_be_scored():
    assert source_problem("math") is source_problem("openai/gsm8k") is source_problem("apps") is None
    assert source_problem("nobody's") == 'no reward function for data source "nobody\'s"'


@pytest.mark.skipif(importlib.util.find_spec("mathruler") is not None, reason="the package is there")
def test_a_source_whose_reward_needs_a_package_that_is_missing():
    assert "'hiyouga/geometry3k' needs the package 'mathruler'" in source_problem("hiyouga/geometry3k")


@pytest.mark.parametrize("truth", [["4"], True, None, {"target": ["4"]}, math.nan, math.inf])
def test_a_ground_truth_has_a_problem_exactly_where_the_reward_raises(truth):
    assert "it must be text or a number" in truth_problem("arithmetic", truth)
    with pytest.raises(TypeError, match="it must be text or a number. Fix reward_model.ground_truth"):
        compute_score("arithmetic", "#### 4", truth)
    assert truth_problem("arithmetic", "4") is truth_problem("arithmetic", 4) is truth_problem("math", 0.5) is None
    assert (truth_problem("searchR1_nq", truth) is None) == isinstance(truth, dict)


def test_verls_reading_of_an_answer():
    assert by_verl.gsm8k_answer("so 1,000 #### 1,200\n#### 1,300") == "1300"
    assert by_verl.gsm8k_answer(r"so \boxed{42}") is None


def test_register(monkeypatch):
    monkeypatch.setattr(compute, "SCORERS", dict(SCORERS))
    register("length", lambda response, ground_truth, options: len(response) / 10)
    assert compute_score("length", "12345", "") == {"score": 0.5, "acc": 0.0}
    with pytest.raises(ValueError, match="'length' already has a scorer"):
        register("length", lambda response, ground_truth, options: 0.0)


def test_importing_it_is_cheap():
    heavy = "('torch', 'ray', 'verl', 'sympy')"
    code = f"import sys, verl_dots.rewards.compute; print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
