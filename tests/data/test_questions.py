"""Texts of questions; duplicates, conflicts and rows that are no questions."""

import json
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.data_files import row, write
from tests.refusals import refused
from verl_dots.data.questions import questions_of, read_questions
from verl_dots.data.rows import read_rows

DATA = Path(__file__).parents[3] / "shared" / "data"
CONFLICTS = "dots.selection.conflicting_answers"
TRUTH = "reward_model.ground_truth"
SYSTEM = {"role": "system", "content": "Be brief."}
PROMPT = row()["prompt"]


def test_the_text_is_the_question_field_or_all_but_the_systems_messages():
    rows = [
        row("a", extra_info={"question": "Written out"}),
        row("b", extra_info={"question": " \n"}),
        row("c", extra_info=None),
        row(prompt=[SYSTEM, *PROMPT, {"role": "assistant", "content": "Well?"}]),
    ]
    assert questions_of(rows).texts == ("Written out", "b", "c", "What is 1 plus 1?\nWell?")


def test_repeated_rows_count_once_and_are_logged(caplog):
    found = questions_of([row("a"), row("b"), row("a"), row("a"), row("c")])
    assert found.texts == ("a", "b", "c")
    assert found.rows.tolist() == [0, 1, 4]
    assert found.rows.dtype == np.int64
    assert "2 of 5 rows repeat an earlier question" in caplog.text


def test_conflicting_answers_are_left_out_with_all_their_rows(caplog):
    rows = [row("a", "1"), row("b", "1"), row("a", "2"), row("c", "1"), row("a", "1"), row("c", "2"), row("c", "3")]
    found = questions_of(rows)
    assert (found.texts, found.rows.tolist()) == (("b",), [1])
    assert "2 prompts occur with different ground truths, the first: row 0, row 2; row 3, row 5, row 6" in caplog.text
    assert "these 5 questions are left out" in caplog.text
    with refused(CONFLICTS, "data", "2 prompts", "row 0, row 2;"):
        questions_of(rows, on_conflict="error")


def test_prompts_are_compared_by_their_exact_text():
    assert len(questions_of([row("a", "1"), row("a ", "2"), row("A", "3")])) == 3
    # The system's message belongs to the prompt.
    assert len(questions_of([row(answer="1"), row(prompt=[SYSTEM, *PROMPT])])) == 2


def test_conflicting_answers_can_be_kept_as_questions_of_their_own():
    found = questions_of([row("a", "1"), row("b", "1"), row("a", "2"), row("a", "1")], on_conflict="keep")
    assert (found.texts, found.answers, found.rows.tolist()) == (("a", "b", "a"), ("1", "1", "2"), [0, 1, 2])


def test_what_to_do_about_conflicts_is_one_of_three():
    with pytest.raises(ValueError, match="drop, error, keep"):
        questions_of([row()], on_conflict="first")


@pytest.mark.parametrize(
    ("bad", "key", "named"),
    [
        ({"prompt": None}, "prompt", "None"),
        ({"prompt": []}, "prompt", "[]"),
        ({"prompt": "What?"}, "prompt", "'What?'"),
        ({"prompt": [{"role": "user"}]}, "prompt", "{'role': 'user'}"),
        ({"prompt": [{"role": None, "content": "a"}]}, "prompt", "'role': None"),
        ({"prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "prompt", "'type': 'image'"),
        ({"prompt": [SYSTEM]}, "prompt", "system"),
        ({"prompt": [{"role": "user", "content": " \n\t"}]}, "prompt", "system"),
        ({"reward_model": None}, TRUTH, ""),
        ({"reward_model": {"style": "rule"}}, TRUTH, ""),
        ({"reward_model": {"ground_truth": " "}}, TRUTH, ""),
        ({"reward_model": {"ground_truth": float("nan")}}, TRUTH, ""),
        ({"reward_model": {"ground_truth": {1}}}, TRUTH, "set"),
    ],
)
def test_rows_that_are_no_questions_are_named(bad, key, named):
    with refused(key, "data", "1 of 3 rows", "row 1: ", named):
        questions_of([row("a"), row() | bad, row("b")])


def test_all_bad_rows_are_counted_and_the_first_named():
    with refused("prompt", "data", "7 of 8 rows", *(f"row {place}: " for place in range(1, 6))) as caught:
        questions_of([row("a")] + [row(" ")] * 7)
    assert "row 6" not in str(caught.value)


def test_files_are_read_in_order_whatever_else_they_hold(tmp_path):
    first = [row(f"a{i}", extra_info={"question": f"A{i}", "trace": {"deep": [i]}}, blob="x" * 100) for i in range(5)]
    second = [row(f"b{i}", extra_info={"level": i}) for i in range(2)]
    third = [row("c0"), row("a1")]
    parts = zip("abc", (first, second, third), strict=True)
    found = read_questions([write(tmp_path / f"{name}.parquet", rows) for name, rows in parts])
    assert found.texts == ("A0", "A1", "A2", "A3", "A4", "b0", "b1", "c0")
    assert found.rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert found.ids == questions_of([*first, *second, *third]).ids


def test_rows_keep_their_positions_across_batches(tmp_path):
    file = write(tmp_path / "a.parquet", [row(f"a{i // 2}") for i in range(10_000)])
    found = read_questions([file])
    np.testing.assert_array_equal(found.rows, np.arange(0, 10_000, 2))
    assert found.texts[4_999] == "a4999"


def test_some_rows_are_read_alone_and_keep_their_positions(tmp_path, caplog):
    rows = [row("a"), row("b", "1"), row("a"), row("c"), row("b", "2"), row("c"), row(" ")]
    files = [write(tmp_path / "one.parquet", rows[:3]), write(tmp_path / "two.parquet", rows[3:])]
    found = read_questions(files, places={5, 1, 2, 3})
    assert (found.texts, found.rows.tolist()) == (("b", "a", "c"), [1, 2, 3])
    assert "1 of 4 rows repeat an earlier question" in caplog.text and "different ground truths" not in caplog.text
    with refused("prompt", "data", "two.parquet row 3", "1 of 2 rows"):
        read_questions(files, places={0, 6})


def test_answers_may_be_lists(tmp_path):
    file = write(tmp_path / "a.parquet", [row("a", ["1", "2"]), row("a", ["1", "2"]), row("b", ["3"])])
    assert read_questions([file]).ids == questions_of([row("a", ["1", "2"]), row("b", ["3"])]).ids
    assert read_questions([file]).answers == ('["1", "2"]', '["3"]')
    # pandas gives arrays for both the prompt and the answers.
    assert questions_of(pd.read_parquet(file).to_dict("records")).ids == read_questions([file]).ids


def test_rows_of_a_dataset_are_the_same_questions(tmp_path):
    rows = [row(f"a{i}", extra_info={"question": f"A{i}"}) for i in range(3)]
    file = write(tmp_path / "a.parquet", rows)
    found = questions_of(datasets.Dataset.from_list(rows))
    assert (found.ids, found.texts) == (read_questions([file]).ids, ("A0", "A1", "A2"))


def test_errors_name_file_and_row(tmp_path):
    good = write(tmp_path / "good.parquet", [row(f"a{i}") for i in range(3)])
    bad = write(tmp_path / "bad.parquet", [row("b"), row(" "), row("a1", "5")])
    with refused("prompt", "data", "bad.parquet row 1"):
        read_questions([good, bad])
    other = write(tmp_path / "other.parquet", [row("b"), row("a1", "5")])
    with refused(CONFLICTS, "data", "good.parquet row 1", "other.parquet row 1"):
        read_questions([good, other], on_conflict="error")


def test_files_that_hold_no_questions(tmp_path):
    text = tmp_path / "text.parquet"
    text.write_text("not a parquet file at all")
    good = write(tmp_path / "good.parquet", [row()])
    empty = write(tmp_path / "empty.parquet", [], pq.read_schema(good))
    for files, prompt_key, key, *told in (
        ([tmp_path / "gone.parquet"], "prompt", f"{tmp_path}/gone.parquet", "file"),
        ([text], "prompt", str(text), "file"),
        ([good], "chat", "chat", "data", "good.parquet", "'prompt', 'reward_model'"),
        ([empty], "prompt", str(empty), "data"),
        ([], "prompt", "", "missing"),
    ):
        with refused(key, *told):
            read_questions(files, prompt_key=prompt_key)


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        ({"reward_model": {"style": "rule"}}, TRUTH, ("data",)),
        ({"reward_model": '{"ground_truth": "2"}'}, "reward_model", ("type", "string", "json.loads")),
        ({"extra_info": '{"index": 1}'}, "extra_info", ("type", "string", "json.loads")),
        ({"extra_info": [1, 2]}, "extra_info", ("type", "list<element: int64>")),
    ],
)
def test_files_whose_columns_lack_the_fields_are_named(tmp_path, change, key, told):
    with refused(key, *told, "a.parquet"):
        read_questions([write(tmp_path / "a.parquet", [row() | change])])


def test_a_damaged_file_says_so(tmp_path):
    # Zeros over the data pages; the footer, at the end, still reads.
    file = write(tmp_path / "a.parquet", [row(f"question number {i}") for i in range(2000)])
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    file.write_bytes(content)
    with refused(str(file), "file"):
        read_questions([file])


def test_an_empty_file_says_so(tmp_path):
    for name in ("a.jsonl", "a.json", "a.parquet"):
        (tmp_path / name).write_bytes(b"")
        with refused(str(tmp_path / name), "file"):
            read_questions([tmp_path / name])


def test_json_whose_rows_differ_in_type_is_read_as_verl_reads_it(tmp_path):
    """`datasets` keeps the text of such values, and gives what it says."""
    rows = [row("a", "007"), row("b", "24"), row("c", "1")]
    rows[0]["extra_info"], rows[1]["extra_info"], rows[2]["extra_info"] = (
        {},
        {"level": 3, "tags": ["x"]},
        {"level": "3"},
    )
    rows[1]["reward_model"]["ground_truth"] = 24
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    verl = datasets.load_dataset("json", data_files=str(tmp_path / "a.jsonl"), split="train")
    mine = list(read_rows(tmp_path / "a.jsonl"))
    for place, theirs in enumerate(verl):
        for name in ("reward_model", "extra_info"):
            assert {key: value for key, value in mine[place][name].items() if value is not None} == {
                key: value for key, value in theirs[name].items() if value is not None
            }
    assert read_questions([tmp_path / "a.jsonl"]).texts == ("a", "b", "c")


@pytest.mark.parametrize("extra", [[1, 2], "text", 5])
def test_a_row_of_json_whose_extra_info_is_no_dict_is_named(tmp_path, extra):
    rows = [row("a") | {"extra_info": {"level": 1}}, row("b") | {"extra_info": extra}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    with refused("extra_info", "data", "row 1"):
        read_questions([tmp_path / "a.jsonl"])


def test_the_fingerprint_changes_with_questions_and_order():
    prints = {questions_of(rows).fingerprint for rows in ([row("a"), row("b")], [row("b"), row("a")], [row("a")])}
    assert len(prints) == 3


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data sets in ../shared/data")
def test_a_real_data_set(caplog):
    # Counted apart with pandas: 10,118 prompts, 10,161 pairs of prompt and answer; 34 prompts have 77 of the pairs.
    found = read_questions([DATA / "deepscaler_10240.parquet"])
    assert len(found) == 10_161 - 77
    assert (found.rows[-1], found.rows.sum()) == (10_239, 51_458_234)
    assert found.texts[0].startswith("Calculate the limit of the function:")
    assert "79 of 10240 rows repeat" in caplog.text
    assert "34 prompts occur with different ground truths" in caplog.text
