"""Rows that should be in verl's schema and are not: each script that reads them names the file and the row."""

import pytest

from data_prep import add_difficulty, deepscaler, e3
from tests.data_files import row, write
from tests.data_prep.script_runs import infos_of, prepared, refusal, rows_of

RIGHT = row("What is 1?", "1", extra_info={"difficulty": 50.0})
MESSAGE = "a message of prompt has a role and a content"


def refused_by_add_difficulty(capsys, bad):
    """What is said of a file as the data, and as the labels."""
    good, out = write(bad.with_name("good.parquet"), [RIGHT]), bad.with_name("out.parquet")
    for data, labels in ((bad, good), (good, bad)):
        yield refusal(capsys, add_difficulty.main, data, "--labels", labels, "--out", out)
        assert not out.exists()


@pytest.mark.parametrize(
    ("right", "changes", "message"),  # a column has one type: not all can stand below a right row
    [
        (0, {"prompt": ["What is 1?"]}, MESSAGE),
        (1, {"prompt": [{"role": "user", "content": None}]}, MESSAGE),
        (0, {"prompt": [{"role": "user", "text": "What?"}]}, MESSAGE),
        (1, {"prompt": [None]}, MESSAGE),
        (0, {"reward_model": {"style": "rule"}}, "reward_model has no ground_truth, only ['style']"),
        (1, {"reward_model": None}, "reward_model and extra_info dicts"),
        (0, {"prompt": "What is 1?"}, "prompt must be a list of messages"),
    ],
)
def test_bad_rows_are_named_by_whoever_reads_them(tmp_path, capsys, right, changes, message):
    bad = write(tmp_path / "bad.parquet", [RIGHT] * right + [RIGHT | changes])
    for error in refused_by_add_difficulty(capsys, bad):
        assert f"bad.parquet row {right}: " in error and message in error
    for script in (deepscaler, e3):
        error = refusal(capsys, script.main, "--source", bad, "--out", tmp_path / "out.parquet")
        assert f"row {right} of the source: " in error and message in error
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward_model": {"style": "rule", "ground_truth": None}}, "no answer"),
        ({"prompt": [{"role": "user", "content": " "}]}, "no question"),
    ],
)
def test_rows_that_are_no_problems_are_named_or_counted(tmp_path, capsys, caplog, changes, message):
    rows = [RIGHT, RIGHT | changes]
    for error in refused_by_add_difficulty(capsys, write(tmp_path / "bad.parquet", rows)):
        assert f"bad.parquet row 1: {message}" in error
    assert len(rows_of(prepared(deepscaler, tmp_path, rows))) == 1
    assert f"1 rows damaged: {message}" in caplog.text


def test_the_question_of_a_row_is_its_own_field_or_what_the_user_says(tmp_path):
    rows = [
        RIGHT | {"extra_info": {"question": "What is 2?"}},
        RIGHT | {"extra_info": {"question": 7}},
        RIGHT | {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 3?"}]},
    ]
    assert infos_of(prepared(deepscaler, tmp_path, rows), "question") == ["What is 2?", "What is 1?", "What is 3?"]
