"""Logs written by verl's own function, read and matched to questions."""

import json

import pytest

from tests.refusals import refused
from verl_dots.labelling.rollout_logs import Rollout, group_by_prompt, match_questions, read_rollouts
from verl_dots.labelling.success_rates import Outcome


def dump(folder, step, rows):
    """Rows of (uid, input, ground truth, score)."""
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

    uids, inputs, truths, scores = map(list, zip(*rows, strict=True))
    PPOTrainer._write_generations(inputs, ["a response"] * len(rows), truths, scores, {"uid": uids}, str(folder), step)


def test_steps_are_read_in_order_of_their_numbers(tmp_path):
    dump(tmp_path, 10, [("p_0_0", "user\n1+1?", "2", 1.0)])
    dump(tmp_path, 9, [("p_0_0", "user\n1+1?", "2", 0.0), ("p_1_0", "user\n1+1?", "2", 0.5)])
    first = [Rollout(9, "user\n1+1?", "2", 0.0), Rollout(9, "user\n1+1?", "2", 0.5)]
    last = [Rollout(10, "user\n1+1?", "2", 1.0)]
    assert read_rollouts(tmp_path) == first + last
    assert read_rollouts(tmp_path, last_steps=1) == last
    assert read_rollouts(tmp_path, last_steps=5) == first + last
    assert group_by_prompt(first + last) == {("user\n1+1?", "2"): Outcome((0.0, 0.5, 1.0))}


def test_of_several_outputs_of_a_rollout_the_last_counts(tmp_path):
    rows = [("p_0_0", "x", "2", 0.0), ("p_0_10", "x", "2", 1.0), ("p_0_9", "x", "2", 0.25), ("p_1_0", "x", "2", 0.5)]
    dump(tmp_path, 1, rows)
    assert [rollout.reward for rollout in read_rollouts(tmp_path)] == [1.0, 0.5]


@pytest.mark.parametrize("number", ["²", "9" * 5000], ids=lambda number: number[:9])
def test_a_uid_that_ends_in_no_number_is_none(tmp_path, number):
    dump(tmp_path, 1, [(f"p_0_{number}", "x", "2", 1.0), (f"p_0_{number}", "x", "2", 0.5)])
    assert [rollout.reward for rollout in read_rollouts(tmp_path)] == [1.0, 0.5]


def test_without_uids_every_line_is_a_rollout_and_ground_truths_are_text(tmp_path):
    lines = [json.dumps({"input": "x", "gts": truth, "score": 1.0}) for truth in (2, {"b": 1, "a": [2]})]
    (tmp_path / "1.jsonl").write_text("\n".join(lines) + "\n")
    assert [rollout.ground_truth for rollout in read_rollouts(tmp_path)] == ["2", '{"a": [2], "b": 1}']


def test_line_separators_inside_texts_are_no_ends_of_lines(tmp_path):
    dump(tmp_path, 1, [("p_0_0", "one\u2028two\x85three", "2", 1.0), ("p_1_0", "x", "2", 0.0)])
    assert [rollout.prompt_text for rollout in read_rollouts(tmp_path)] == ["one\u2028two\x85three", "x"]


def test_a_last_line_cut_short_is_left_out_and_said(tmp_path, caplog):
    dump(tmp_path, 1, [("p_0_0", "x", "2", 1.0), ("p_1_0", "é", "2", 0.0)])
    whole = (tmp_path / "1.jsonl").read_bytes()
    # In the middle of a letter of two bytes.
    (tmp_path / "1.jsonl").write_bytes(whole[: whole.rindex("é".encode()) + 1])
    assert [rollout.reward for rollout in read_rollouts(tmp_path)] == [1.0]
    assert "the last line is cut short" in caplog.text


def test_bad_folders_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with refused(str(folder), "file", "STEP.jsonl"):
            read_rollouts(folder)
    for text, named in (
        ("broken\n{}\n", ""),
        ("[" * 100_000 + "\n{}\n", ""),
        ('{"input": "x", "score": 1}\n', "['gts']"),
    ):
        (tmp_path / "3.jsonl").write_text(text)
        with refused(str(tmp_path / "3.jsonl"), "data", "line 1", named):
            read_rollouts(tmp_path)
    for value, named in (
        ({"input": 3, "score": 1}, "got 3 and 1"),
        ({"input": "x", "score": "high"}, "'high'"),
        ({"input": "x", "score": float("nan")}, "nan"),
        ({"input": "x", "score": [1]}, "[1]"),
    ):
        (tmp_path / "3.jsonl").write_text(json.dumps({"gts": "2", **value}) + "\n")
        with refused(str(tmp_path / "3.jsonl"), "data", "line 1: input must be text and score a finite number", named):
            read_rollouts(tmp_path)
    (tmp_path / "3.jsonl").write_text(json.dumps(["input", "gts", "score"]) + "\n")
    with refused(str(tmp_path / "3.jsonl"), "data", "line 1: input must be text"):
        read_rollouts(tmp_path)
    with refused("--last-steps", "range", "0"):
        read_rollouts(tmp_path, last_steps=0)


QUESTIONS = [
    ("short", ["What is 1+1?"], "2"),
    ("long", ["What is 1+1? Think."], "2"),
    ("truth", ["What is 1+1?"], "10"),
    ("system", ["Be brief.", "  What is 3+3?\n"], "6"),
]


def test_a_prompt_belongs_to_the_longest_question_inside_it_with_its_ground_truth():
    groups = {
        ("system\nYou are kind.\nuser\nWhat is 1+1? Think.\nassistant\n", "2"): Outcome((0.0, 1.0)),
        ("user\nWhat is 1+1?\nassistant\n", "10"): Outcome((1.0,)),
        ("user\nWhat is 1+1?\nassistant\n", "2"): Outcome((0.5,)),
        ("system\nBe brief.\nuser\nWhat is 3+3?\nassistant\n", "6"): Outcome((0.25,)),
        # A second rendering of the first question: its rewards come after those of the first.
        ("[USER] What is 1+1? Think. [/USER]", "2"): Outcome((1.0,)),
    }
    found, unmatched = match_questions(groups, QUESTIONS)
    assert unmatched == 0
    assert list(found.items()) == [
        ("short", Outcome((0.5,))),
        ("long", Outcome((0.0, 1.0, 1.0))),
        ("truth", Outcome((1.0,))),
        ("system", Outcome((0.25,))),
    ]


def test_prompts_that_fit_no_question_or_two_are_counted():
    twins = [*QUESTIONS, ("twin", ["What is 1+1?"], "10")]
    groups = {
        ("user\nWhat is 1+1?", "10"): Outcome((1.0,)),
        ("user\nWhat is 1+1?", "3"): Outcome((1.0,)),
        # The messages in the wrong order.
        ("What is 3+3? Be brief.", "6"): Outcome((1.0,)),
    }
    assert match_questions(groups, twins) == ({}, 3)
