"""No command writes over a file that it did not make."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, arithmetic, math, pool
from tests.data_files import row, write
from verl_dots import check, evaluate, report, simulate
from verl_dots.data.provenance import KEY, made_by, read_provenance
from verl_dots.difficulty import train
from verl_dots.doctor import __main__ as doctor
from verl_dots.evidence import __main__ as evidence

LABELLED = ("DATA", "--labels", "DATA", "--out", "OUT/a.parquet")


@pytest.mark.parametrize(
    ("command", "file", "arguments"),
    [
        (report, "report.md", ["OUT", "--out", "OUT"]),
        (report, "accuracy.png", ["OUT", "--out", "OUT"]),
        (simulate, "simulation.csv", ["--difficulties", "DATA", "--out", "OUT"]),
        (evidence, "index.html", ["OUT", "--out", "OUT"]),
        (doctor, "a.json", ["device=cpu", "--json", "OUT/a.json", "--work", "OUT/work"]),
        (evaluate, "evaluation.json", ["recipes/cpu/tiny_model", "--data", "DATA", "--out", "OUT", "device=cpu"]),
        (train, "model.safetensors", ["DATA", "--backbone", "b", "--out", "OUT", "--cache", "OUT/cache"]),
        (check, "data.parquet", ["DATA", "--clean", "OUT"]),
        (arithmetic, "val.parquet", ["--out", "OUT"]),
        (math, "a.parquet", ["--source", "DATA", "--out", "OUT/a.parquet"]),
        (add_difficulty, "a.parquet", LABELLED),
        (pool, "a.parquet", LABELLED),
    ],
)
def test_a_file_that_a_command_did_not_make_stays(tmp_path, capsys, command, file, arguments):
    out, data = tmp_path / "out", write(tmp_path / "data.parquet", [row()])
    out.mkdir()
    (out / file).write_text("mine")
    try:
        code = command.main([word.replace("OUT", str(out)).replace("DATA", str(data)) for word in arguments])
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == 2 and f"{file} is there, and this command did not make it" in " ".join(error.split())
    assert (out / file).read_text() == "mine"


def test_a_command_writes_over_what_it_made(tmp_path):
    small = ["--out", str(tmp_path), "--train", "20", "--val", "20"]
    arithmetic.main(small)
    before = (tmp_path / "val.parquet").read_bytes()
    arithmetic.main([*small, "--seed", "2"])
    assert (tmp_path / "val.parquet").read_bytes() != before
    for _ in range(2):
        assert check.main([str(tmp_path / "val.parquet"), "--clean", str(tmp_path / "clean")]) == 0


@pytest.mark.parametrize("given", [b"[]", b"{", b"3", b"\xff", b"[" * 100_000])
def test_a_provenance_of_anothers_is_none(tmp_path, given):
    table = pa.table({"a": [1]}).replace_schema_metadata({KEY: given})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_provenance(tmp_path / "a.parquet") == {}
    assert not made_by("data_prep.math")(tmp_path / "a.parquet")


@pytest.mark.parametrize("option", ["--about", "--claims"])
@pytest.mark.parametrize("text", ["", "3", "[1]", "{a: [", "combinations: 3", "combinations: {a: 3}", "- {claim: 3}"])
def test_evidence_refuses_a_file_of_something_else(tmp_path, capsys, option, text):
    (tmp_path / "file").write_text(text)
    arguments = ["recipes/evidence/results", option, str(tmp_path / "file"), "--out", str(tmp_path / "out")]
    assert evidence.main(arguments) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err


def test_rows_that_differ_in_type_are_refused(tmp_path, capsys):
    rows = [
        {**row(f"{i} + 1?"), "extra_info": {"index": i}, "data_source": source} for i, source in enumerate(["math", 3])
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(one) + "\n" for one in rows))
    rated = [{**row(f"{i} + 1?"), "extra_info": {"difficulty": 5.0}} for i in range(2)]
    labels = write(tmp_path / "labels.parquet", rated)
    with pytest.raises(SystemExit) as end:
        add_difficulty.main([str(data), "--labels", str(labels), "--out", str(tmp_path / "out.parquet")])
    assert end.value.code == 2 and "differ in type" in " ".join(capsys.readouterr().err.split())


def test_json_that_begins_with_null_is_refused(tmp_path, capsys):
    (tmp_path / "a.jsonl").write_text('null\n{"prompt": 1}\n')
    assert check.main([str(tmp_path / "a.jsonl")]) == 2
    assert "begins with null" in capsys.readouterr().err
