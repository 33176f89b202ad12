"""Each data set from small files in its real raw format: its answers are scored, and all can be read as one."""

import importlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, arithmetic, mbpp_plus
from data_prep.schema import EXTRA_FIELDS
from data_prep.text import INSTRUCTION
from tests.data_files import row
from tests.data_prep.script_runs import infos_of, prepared, raw_file, refusal, rows_of
from tests.data_prep.test_mbpp_plus import task
from verl_dots.data.column_types import type_problems
from verl_dots.rewards.compute import compute_score

QUESTION = "What is $6 \\cdot 7$?"
VERL = row(QUESTION, "42", source="amc", ability="math", rank=0.25)
ADARFT = row(
    f"{QUESTION} Let's think step by step and output the final answer within \\boxed{{}}.",
    "42",
    extra_info={"difficulty": 12.5, "index": 9, "split": "train"},
)
# script: raw row, question, answer, further fields of extra_info
CASES = {
    "math": (
        {"problem": "p", "level": "Level 5", "type": "Algebra", "solution": "$\\boxed{1}$; $\\boxed{\\frac{1}{2}}$."},
        "p", "\\frac{1}{2}", {"level": 5, "subject": "Algebra"},
    ),
    "deepscaler": ({"problem": "p", "answer": "7", "solution": ""}, "p", "7", {}),
    "e3": (VERL, QUESTION, "42", {"origin": "amc", "rank": 0.25}),
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
SCRIPTS = {name: importlib.import_module(f"data_prep.{name}") for name in CASES}
RAW = {name: raw for name, (raw, *_) in CASES.items()}


@pytest.mark.parametrize(
    ("name", "case"),
    [
        *CASES.items(),
        # The hub's columns, and those of another hub's copy.
        ("open_reasoner_zero", (dict(zip("01", RAW["open_reasoner_zero"], strict=True)), "p", "\\sqrt{2}", {})),
        ("aime24", ({"ID": "24-1", "Problem": "p", "Solution": "s", "Answer": 204}, "p", "204", {"source_id": "24-1"})),
    ],
)
def test_a_raw_row_becomes_a_row_of_verls_schema(tmp_path, name, case):
    raw, question, answer, extra = case
    [row] = rows_of(prepared(SCRIPTS[name], tmp_path, [raw]))
    assert row["prompt"] == [{"role": "user", "content": f"{question}\n\n{INSTRUCTION}"}]
    assert row["reward_model"] == {"style": "rule", "ground_truth": answer}
    assert row["ability"] == "math"
    info = row["extra_info"]
    split = "test" if name in ("math500", "minerva", "olympiadbench", "amc23", "aime24") else "train"
    own = {"index": 0, "split": split, "question": question, "source_row": 0, "question_id": info["question_id"]}
    assert info == own | extra


def test_every_answer_is_scored_as_mathematics():
    for name, (_, _, answer, _) in CASES.items():
        source, boxed = getattr(SCRIPTS[name], name.upper()).data_source, answer.replace("$", "")
        assert compute_score(source, f"So it is $\\boxed{{{boxed}}}$.", answer)["acc"] == 1.0, name
    assert compute_score("olympiadbench", "So it is $\\boxed{3, 2}$.", "$2$,$3$")["acc"] == 1.0
    assert compute_score("olympiadbench", "So it is $\\boxed{3, 4}$.", "$2$,$3$")["acc"] == 0.0


def test_levels_of_math_are_chosen(tmp_path):
    rows = [RAW["math"] | {"problem": f"p{level}", "level": f"Level {level}"} for level in "12345?"]
    assert infos_of(prepared(SCRIPTS["math"], tmp_path, rows), "level") == [3, 4, 5]
    assert infos_of(prepared(SCRIPTS["math"], tmp_path, rows, "--levels", "1", "5"), "level") == [1, 5]


def test_the_original_folder_of_math(tmp_path):
    for split, subject in (("train", "algebra"), ("train", "geometry"), ("test", "algebra")):
        folder = tmp_path / "MATH" / split / subject
        folder.mkdir(parents=True)
        row = {"problem": f"{split} {subject}", "level": "Level 3", "type": subject, "solution": "$\\boxed 2$"}
        (folder / "1.json").write_text(json.dumps(row))
    out = tmp_path / "m.parquet"
    SCRIPTS["math"].main(["--source", str(tmp_path / "MATH"), "--out", str(out), "--split", "train"])
    assert infos_of(out, "question") == ["train algebra", "train geometry"]
    assert rows_of(out)[0]["reward_model"]["ground_truth"] == "2"


def test_adarfts_instruction_goes_and_its_difficulty_stays(tmp_path):
    [row] = rows_of(prepared(SCRIPTS["deepscaler"], tmp_path, [ADARFT], "--system", "Be brief."))
    assert [message["content"] for message in row["prompt"]] == ["Be brief.", f"{QUESTION}\n\n{INSTRUCTION}"]
    assert row["extra_info"]["difficulty"] == 12.5


def test_other_kinds_of_olympiad_questions_are_left_out(tmp_path):
    other = {"modality": "Multimodal", "subject": "Physics", "question_type": "Theorem proof", "language": "Chinese"}
    rows = [RAW["olympiadbench"] | {"question": f"{name} {kind}", name: kind} for name, kind in other.items()]
    found = prepared(SCRIPTS["olympiadbench"], tmp_path, [*rows, RAW["olympiadbench"]])
    assert infos_of(found, "source_row") == [4]


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        *((name, ["p", "1"], "expected columns, got ['p', '1']") for name in CASES if name != "open_reasoner_zero"),
        ("open_reasoner_zero", "p", "expected columns, got 'p'"),
        ("open_reasoner_zero", [1, 2, 3], "expected two turns, a question and an answer, got [1, 2, 3]"),
        ("math500", RAW["math500"] | {"level": "Level 5"}, "level must be a number, got 'Level 5'"),
        ("deepmath", RAW["deepmath"] | {"difficulty": "hard"}, "difficulty must be a number, got 'hard'"),
        ("deepmath", RAW["deepmath"] | {"difficulty": [1]}, "difficulty must be a number, got [1]"),
        ("deepmath", RAW["deepmath"] | {"difficulty": True}, "difficulty must be a number, got True"),
        ("math500", RAW["math500"] | {"level": float("inf")}, "level must be a number, got inf"),
        ("e3", VERL | {"rank": "first"}, "rank must be a number, got 'first'"),
        ("deepscaler", ADARFT | {"extra_info": {"difficulty": "hard"}}, "difficulty must be a number, got 'hard'"),
    ],
)
def test_rows_of_another_form_are_named(tmp_path, capsys, name, bad, message):
    source, out = raw_file(tmp_path / "raw.jsonl", [RAW[name], bad]), tmp_path / "out.parquet"
    error = refusal(capsys, SCRIPTS[name].main, "--source", source, "--out", out)
    assert f"row 1 of the source: {message}" in error and not out.exists()


def test_numbers_that_are_missing_are_left_out(tmp_path):
    rows = [RAW["deepmath"] | {"question": f"{value}", "difficulty": value} for value in (None, float("nan"))]
    assert all("level" not in info for info in infos_of(prepared(SCRIPTS["deepmath"], tmp_path, rows)))


NAN = float("nan")


def test_texts_that_are_missing_are_left_out(tmp_path):
    """pandas writes None as NaN, which once was the text "nan"."""
    names = ("context", "unit", "error", "subfield", "subject", "language", "question_type", "modality")
    raw = RAW["olympiadbench"] | dict.fromkeys(names, NAN) | {"id": 60.0, "is_multiple_answer": NAN}
    [row] = rows_of(prepared(SCRIPTS["olympiadbench"], tmp_path, [raw]))
    assert row["prompt"][0]["content"] == f"p\n\n{INSTRUCTION}"
    info = row["extra_info"]
    assert (info["source_id"], info["several_answers"]) == ("60", False)
    assert not {"unit", "tolerance", "subject"} & set(info)
    for name in ("math500", "amc23", "aime24"):
        raw = RAW[name] | {"subject": NAN} | {"id": 60.0, "unique_id": 60.0}
        [info] = infos_of(prepared(SCRIPTS[name], tmp_path, [raw], name=name))
        assert info["source_id"] == "60" and "subject" not in info


def test_several_answers_are_what_the_row_says(tmp_path, capsys):
    yes, no = (True, "True", "true ", 1, 1.0, "1"), (False, "False", "false", 0, 0.0, "", None, NAN)
    rows = [RAW["olympiadbench"] | {"question": f"q{i}", "is_multiple_answer": each} for i, each in enumerate(yes + no)]
    found = infos_of(prepared(SCRIPTS["olympiadbench"], tmp_path, rows), "several_answers")
    assert found == [True] * len(yes) + [False] * len(no)
    source = raw_file(tmp_path / "raw.jsonl", [RAW["olympiadbench"] | {"is_multiple_answer": "some"}])
    error = refusal(capsys, SCRIPTS["olympiadbench"].main, "--source", source, "--out", tmp_path / "no.parquet")
    assert "row 0 of the source: is_multiple_answer must be true or false, got 'some'" in error


def test_olympiad_answers_are_made_readable_and_no_answer_is_damage(tmp_path, caplog):
    readable = {5: "5", 2.0: "2", "7": "7", "$2$,$3$": "$2$,$3$", "$221,$8$": "221,8", "$\\{1\\}$.": "$\\{1\\}$"}
    answers = [*readable, ["$2$", 3], None, [], [None], {"a": 1}]
    rows = [RAW["olympiadbench"] | {"question": f"q{i}", "final_answer": each} for i, each in enumerate(answers)]
    found = rows_of(prepared(SCRIPTS["olympiadbench"], tmp_path, rows))
    assert [row["reward_model"]["ground_truth"] for row in found] == [*readable.values(), "$2$, 3"]
    assert "3 rows damaged: no answer" in caplog.text and "1 rows damaged: answer is a dict" in caplog.text


def test_evaluation_sets_keep_conflicts_and_say_where_the_missing_questions_are(tmp_path, caplog):
    rows = [RAW["olympiadbench"] | {"final_answer": answer} for answer in ("1", "2")]
    assert len(rows_of(prepared(SCRIPTS["olympiadbench"], tmp_path, rows))) == 2
    assert "675 questions as published, here are 2; the hub's copy has 674" in caplog.text
    assert "OE_TO_maths_en_COMP.json of the authors' release with --source" in caplog.text


def test_half_a_character_is_damage_and_not_the_end(tmp_path, caplog):
    raw = RAW["math500"]
    damaged = [raw | {"problem": name} | {name: "half \ud835"} for name in ("problem", "answer", "subject")]
    assert infos_of(prepared(SCRIPTS["math500"], tmp_path, [*damaged, raw]), "question") == ["p"]
    assert caplog.text.count("with half a character") == 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """name -> a small file of it: all sets, rated ones, and the testbed's."""
    folder = tmp_path_factory.mktemp("sets")
    for name, script in SCRIPTS.items():
        prepared(script, folder, [RAW[name]], name=name)
    prepared(SCRIPTS["deepscaler"], folder, [ADARFT], "--system", "Be brief.", name="adarft")
    code = task(2, "def double(a):\n    return 2 * a", [[1], [2]], [2, 4])
    prepared(mbpp_plus, folder, [code], "--no-check", name="mbpp_plus")
    for name in ("adarft", "e3"):
        out = ["--labels", str(folder / "adarft.parquet"), "--out", str(folder / f"{name}_rated.parquet")]
        add_difficulty.main([str(folder / f"{name}.parquet"), *out])
    arithmetic.main(["--out", str(folder), "--train", "20", "--val", "20"])
    return {path.stem: path for path in sorted(folder.glob("*.parquet"))}


def test_all_go_together(files):
    assert len(files) == 11 + 2 + 2 + 2 and type_problems(list(files.values())) == []


def test_every_field_has_one_type_and_stands_in_the_table(files):
    for path in files.values():
        schema = pq.read_schema(path)
        assert schema.field("reward_model").type.field("ground_truth").type == pa.string()
        for field in schema.field("extra_info").type:
            if field.name not in ("index", "question_id", "split"):
                assert field.type == EXTRA_FIELDS[field.name], (path.name, field.name)
    assert [infos_of(files[name])[0]["level"] for name in ("math", "math500", "deepmath")] == [5.0, 2.0, 6.5]
