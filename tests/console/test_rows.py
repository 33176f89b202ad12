import json
import os

from verl_dots.console.rows import NewRows


def line(step, **more):
    return json.dumps({"step": step, "wall_seconds": 1.5 * step, **more}) + "\n"


def test_rows_come_once_and_whole(tmp_path):
    file = tmp_path / "metrics.jsonl"
    rows = NewRows(file)
    assert rows.read() == []
    file.write_text(line(1) + line(2)[:9])
    assert [row["step"] for row in rows.read()] == [1]
    file.write_text(line(1) + line(2) + "\0\0damaged\n" + "[" * 100_000 + "\n" + line(3))
    assert [row["step"] for row in rows.read()] == [2, 3]
    assert rows.read() == []


def test_rows_that_were_there_are_not_new_even_in_a_file_written_anew(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(line(1) + line(2) + line(3))
    rows = NewRows(file)
    # A resume from step 2 takes row 3 out, and comes to it again.
    (tmp_path / "new").write_text(line(1) + line(2) + line(3, again=True))
    os.replace(tmp_path / "new", file)
    assert rows.read() == [{"step": 3, "wall_seconds": 4.5, "again": True}]


def test_a_file_that_gives_way_to_another_run_s(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text(line(1) + line(2))
    rows = NewRows(file)
    file.rename(tmp_path / "metrics.1.jsonl")
    assert rows.read() == []
    file.write_text(line(1, other=1))
    assert [row["step"] for row in rows.read()] == [1]
