"""Each data set from small files in its real raw format, and that its answers are scored."""

import json

import pyarrow as pa
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
    mbpp_plus,
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


def test_every_data_source_is_scored_by_math_verify():
    sources = {script.__dict__[name.upper()].data_source for name, script in SCRIPTS.items()}
    assert {SCORERS[source].__name__ for source in sources} == {"_score_mathematics"}
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


SIMILAR = {
    "task_id": 2,
    "code": "def similar_elements(a, b):\n    return tuple(sorted(set(a) & set(b)))",
    "prompt": "Write a function to find the shared elements of two lists, sorted.",
    "source_file": "x.ipynb",
    "test_imports": [],
    "test_list": ["assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5)"],
    "test": (
        "import numpy as np\nfrom math import inf\n\ndef assertion(out, exp, atol):\n    assert out == exp\n\n"
        "inputs = [[(3, 4, 5, 6), (5, 7, 4, 10)], [[], []], [[-1, inf], [inf]]]\n"
        "results = [(4, 5), (), (inf,)]\n"
        "for i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion(similar_elements(*inp), exp, 0)\n"
    ),
}
# JSON turns the tuple into a list, which has no hash.
HASHED = SIMILAR | {"task_id": 3, "prompt": "q", "code": "def similar_elements(a, b):\n    return len({a, b})"}
HASHED["test"] = SIMILAR["test"].replace("(4, 5), (), (inf,)", "2, 1, 2")
SETS = SIMILAR | {"task_id": 4, "prompt": "r", "test": SIMILAR["test"].replace("(4, 5), ()", "{4, 5}, set()")}


def test_code_is_scored_by_verls_own_reward(tmp_path, capsys):
    pq.write_table(pa.Table.from_pylist([SIMILAR, HASHED, SETS]), tmp_path / "raw.parquet")
    mbpp_plus.main(["--source", str(tmp_path / "raw.parquet"), "--out", str(tmp_path / "out.parquet")])
    printed = capsys.readouterr().out
    assert (
        "verl's reward does not accept the reference solution" in printed and "tests that JSON cannot hold" in printed
    )
    [row] = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert row["data_source"] == "apps" and row["extra_info"]["origin"] == "mbpp_plus"
    truth = row["reward_model"]["ground_truth"]
    assert json.loads(truth) == {
        "fn_name": "similar_elements",
        "inputs": ["[3, 4, 5, 6]\n[5, 7, 4, 10]", "[]\n[]", "[-1, Infinity]\n[Infinity]"],
        "outputs": ["[[4, 5]]", "[[]]", "[[Infinity]]"],
    }
    right = f"Think.\n```python\n{SIMILAR['code']}\n```"
    assert compute_score(row["data_source"], right, truth) == {"score": 1.0, "acc": 1.0}
    # Right for one of the three tests.
    wrong = "```python\ndef similar_elements(a, b):\n    return ()\n```"
    assert compute_score(row["data_source"], wrong, truth) == {"score": 0.0, "acc": 0.0}
