"""Each data set from small files in its real raw format, and that its answers are scored."""

import json

import pyarrow.parquet as pq
import pytest

from data_prep import (
    aime24,
    amc23,
    deepmath,
    deepscaler,
    e3,
    gsm8k,
    math,
    math500,
    minerva,
    olympiadbench,
    open_reasoner_zero,
)
from data_prep.text import INSTRUCTION
from verl_dots.rewards.compute import SCORERS, compute_score

SCRIPTS = {
    module.__name__.rsplit(".")[-1]: module
    for module in (
        aime24, amc23, deepmath, deepscaler, e3, gsm8k, math, math500, minerva, olympiadbench, open_reasoner_zero
    )
}  # fmt: skip
VERL = {
    "data_source": "amc",
    "prompt": [{"role": "user", "content": "What is $6 \\cdot 7$?"}],
    "ability": "math",
    "rank": 0.25,
    "reward_model": {"ground_truth": "42", "style": "rule"},
}
ADARFT = VERL | {
    "prompt": [
        {
            "role": "user",
            "content": "What is $6 \\cdot 7$? Let's think step by step and output the final answer within \\boxed{}.",
        }
    ],
    "extra_info": {"difficulty": 12.5, "index": 9, "split": "train"},
}
# script: raw row, question, answer, further fields of extra_info
CASES = {
    "math": (
        {"problem": "p", "level": "Level 5", "type": "Algebra", "solution": "$\\boxed{1}$; $\\boxed{\\frac{1}{2}}$."},
        "p", "\\frac{1}{2}", {"level": 5, "subject": "Algebra"},
    ),
    "deepscaler": ({"problem": "p", "answer": "7", "solution": ""}, "p", "7", {}),
    "e3": (VERL, "What is $6 \\cdot 7$?", "42", {"origin": "amc", "rank": 0.25}),
    "open_reasoner_zero": (
        [{"from": "human", "value": "p"}, {"from": "assistant", "ground_truth": {"value": "\\sqrt{2}"}}],
        "p", "\\sqrt{2}", {},
    ),
    "deepmath": (
        {"question": "p", "final_answer": "0", "difficulty": 6.5, "topic": "Analysis", "r1_solution_1": "s"},
        "p", "0", {"level": 6.5, "subject": "Analysis"},
    ),
    "gsm8k": ({"question": "p", "answer": "2 * 540 = <<2*540=1080>>1080\n#### 1,080"}, "p", "1080", {}),
    "math500": (
        {"problem": "p", "solution": "s", "answer": "x^2", "subject": "Algebra", "level": 2, "unique_id": "test/1"},
        "p", "x^2", {"level": 2, "subject": "Algebra", "source_id": "test/1"},
    ),
    "minerva": ({"question": "p", "answer": "4.49e33"}, "p", "4.49e33", {}),
    "olympiadbench": (
        {
            "id": 1606, "question": "p", "context": "c", "final_answer": ["$2$,$3$"], "solution": ["s"], "unit": None,
            "subfield": "Algebra", "is_multiple_answer": True, "answer_type": "Numerical", "error": None,
        },
        "c\n\np", "$2$,$3$",
        {"source_id": "1606", "subject": "Algebra", "answer_type": "Numerical", "several_answers": True},
    ),
    "amc23": ({"id": 0, "question": "p", "answer": 27.0, "url": "u"}, "p", "27", {"source_id": "0"}),
    "aime24": ({"id": 60, "problem": "p", "solution": "\\boxed{025}", "url": "u"}, "p", "25", {"source_id": "60"}),
}  # fmt: skip


def prepared(tmp_path, name, rows, *arguments):
    """The rows that a script writes for these raw rows."""
    raw, out = tmp_path / "raw.json", tmp_path / "out.parquet"
    raw.write_text(json.dumps(rows))
    SCRIPTS[name].main(["--source", str(raw), "--out", str(out), *arguments])
    return pq.read_table(out).to_pylist()


@pytest.mark.parametrize("name", CASES)
def test_a_raw_row_becomes_a_row_of_verls_schema(tmp_path, name):
    raw, question, answer, extra = CASES[name]
    [row] = prepared(tmp_path, name, [raw])
    assert row["prompt"] == [{"role": "user", "content": f"{question}\n\n{INSTRUCTION}"}]
    assert row["reward_model"] == {"style": "rule", "ground_truth": answer}
    assert row["ability"] == "math"
    info = row["extra_info"]
    split = "test" if name in ("math500", "minerva", "olympiadbench", "amc23", "aime24") else "train"
    own = {"index": 0, "split": split, "question": question, "source_row": 0, "question_id": info["question_id"]}
    assert info == own | extra


def test_every_data_source_is_scored_as_mathematics():
    sources = {script.__dict__[name.upper()].data_source for name, script in SCRIPTS.items()}
    assert {SCORERS[source].__name__ for source in sources} == {"_score_mathematics", "_score_measurements"}
    assert compute_score("olympiadbench", "So it is $\\boxed{3, 2}$.", "$2$,$3$")["acc"] == 1.0
    assert compute_score("olympiadbench", "So it is $\\boxed{3, 4}$.", "$2$,$3$")["acc"] == 0.0


def test_levels_of_math_are_chosen(tmp_path):
    rows = [
        {"problem": f"p{level}", "level": f"Level {level}", "type": "t", "solution": "\\boxed{1}"} for level in "12345?"
    ]
    assert [row["extra_info"]["level"] for row in prepared(tmp_path, "math", rows)] == [3, 4, 5]
    assert [row["extra_info"]["level"] for row in prepared(tmp_path, "math", rows, "--levels", "1", "5")] == [1, 5]


def test_the_original_folder_of_math(tmp_path):
    for split, subject in (("train", "algebra"), ("train", "geometry"), ("test", "algebra")):
        folder = tmp_path / "MATH" / split / subject
        folder.mkdir(parents=True)
        row = {"problem": f"{split} {subject}", "level": "Level 3", "type": subject, "solution": "$\\boxed 2$"}
        (folder / "1.json").write_text(json.dumps(row))
    math.main(["--source", str(tmp_path / "MATH"), "--out", str(tmp_path / "m.parquet"), "--split", "train"])
    rows = pq.read_table(tmp_path / "m.parquet").to_pylist()
    assert [row["extra_info"]["question"] for row in rows] == ["train algebra", "train geometry"]
    assert rows[0]["reward_model"]["ground_truth"] == "2"


def test_adarfts_instruction_goes_and_its_difficulty_stays(tmp_path):
    [row] = prepared(tmp_path, "deepscaler", [ADARFT], "--system", "Be brief.")
    assert [message["content"] for message in row["prompt"]] == [
        "Be brief.", f"What is $6 \\cdot 7$?\n\n{INSTRUCTION}",
    ]  # fmt: skip
    assert row["extra_info"]["difficulty"] == 12.5


def test_open_reasoner_zero_as_the_hub_gives_it(tmp_path):
    turns = CASES["open_reasoner_zero"][0]
    rows = prepared(tmp_path, "open_reasoner_zero", [{"0": turns[0], "1": turns[1]}])
    assert rows[0]["reward_model"]["ground_truth"] == "\\sqrt{2}"


def test_other_kinds_of_olympiad_questions_are_left_out(tmp_path):
    row = CASES["olympiadbench"][0]
    kinds = [
        {},
        {"modality": "Multimodal"},
        {"subject": "Physics"},
        {"question_type": "Theorem proof"},
        {"language": "Chinese"},
    ]
    rows = [row | {"question": f"q{i}"} | kind for i, kind in enumerate(kinds)]
    assert len(prepared(tmp_path, "olympiadbench", rows)) == 1


def test_olympiad_answers_are_made_readable():
    assert olympiadbench.tidy("$(-\\infty, 0) \\cup\\{1\\}$.") == "$(-\\infty, 0) \\cup\\{1\\}$"
    assert olympiadbench.tidy("$221,$8$") == "221,8"
    assert olympiadbench.tidy("$2$,$3$") == "$2$,$3$"


def test_other_hubs_columns_of_aime(tmp_path):
    rows = [{"ID": "2024-I-1", "Problem": "p", "Solution": "s", "Answer": 204}]
    [row] = prepared(tmp_path, "aime24", rows)
    assert (row["reward_model"]["ground_truth"], row["extra_info"]["source_id"]) == ("204", "2024-I-1")


def refused(capsys, tmp_path, name, rows):
    """The message with which a script ends on these raw rows."""
    with pytest.raises(SystemExit) as caught:
        prepared(tmp_path, name, rows)
    assert caught.value.code == 2 and not (tmp_path / "out.parquet").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - {"open_reasoner_zero"}))
def test_rows_without_columns_are_another_source(tmp_path, capsys, name):
    error = refused(capsys, tmp_path, name, [["p", "1"]])
    assert "row 0 of the source: expected columns, got ['p', '1']; is this the right --source?" in error


def test_turns_of_open_reasoner_zero_are_no_text(tmp_path, capsys):
    error = refused(capsys, tmp_path, "open_reasoner_zero", ["p"])
    assert "row 0 of the source: expected columns, got 'p'; is this the right --source?" in error
    assert "expected two turns" in refused(capsys, tmp_path, "open_reasoner_zero", [[1, 2, 3]])


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("math500", {"level": "Level 5"}, "level must be a number, got 'Level 5'"),
        ("deepmath", {"difficulty": "hard"}, "difficulty must be a number, got 'hard'"),
        ("deepmath", {"difficulty": [1]}, "difficulty must be a number, got [1]"),
        ("deepmath", {"difficulty": True}, "difficulty must be a number, got True"),
        ("math500", {"level": float("inf")}, "level must be a number, got inf"),
        ("e3", {"rank": "first"}, "rank must be a number, got 'first'"),
    ],
)
def test_what_must_be_a_number_is_named_with_its_row(tmp_path, capsys, name, changes, message):
    right = CASES[name][0]
    error = refused(capsys, tmp_path, name, [right, right | changes])
    assert f"row 1 of the source: {message}; is this the right --source?" in error


def test_numbers_that_are_missing_are_left_out(tmp_path):
    [row] = prepared(tmp_path, "deepmath", [CASES["deepmath"][0] | {"difficulty": None}])
    assert "level" not in row["extra_info"]
    [row] = prepared(tmp_path, "deepmath", [CASES["deepmath"][0] | {"difficulty": float("nan")}])
    assert "level" not in row["extra_info"]


def test_olympiad_answers_may_be_numbers_and_no_answer_is_damage(tmp_path, caplog):
    answers = [5, 2.0, ["$2$", 3], "7", None, [], [None], {"a": 1}]
    rows = [CASES["olympiadbench"][0] | {"question": f"q{i}", "final_answer": answers[i]} for i in range(len(answers))]
    found = prepared(tmp_path, "olympiadbench", rows)
    assert [row["reward_model"]["ground_truth"] for row in found] == ["5", "2", "$2$, 3", "7"]
    assert "3 rows damaged: no answer" in caplog.text and "1 rows damaged: answer is a dict" in caplog.text


def test_olympiadbench_says_where_the_missing_question_is(tmp_path, caplog):
    prepared(tmp_path, "olympiadbench", [CASES["olympiadbench"][0]])
    assert "675 questions as published, here are 1; the hub's copy has 674" in caplog.text
    assert "OE_TO_maths_en_COMP.json of the authors' release with --source" in caplog.text


@pytest.mark.parametrize("field", ["problem", "answer", "subject"])
def test_half_a_character_is_damage_and_not_the_end(tmp_path, caplog, field):
    right = CASES["math500"][0]
    rows = prepared(tmp_path, "math500", [right, right | {"problem": "q"} | {field: "half \ud835"}])
    assert [row["extra_info"]["question"] for row in rows] == ["p"]
    assert "with half a character" in caplog.text
