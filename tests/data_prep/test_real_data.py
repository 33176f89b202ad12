"""The published files through the scripts: as many questions as published, and always the same ones."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, deepscaler, e3, math500, olympiadbench
from verl_dots.data.provenance import read_provenance

DATA = Path(__file__).parents[3] / "shared" / "data"
DOTS = "deepscaler_10240.parquet"
ADARFT = ("deepscaler_difficulty_uniform.parquet", "deepscaler_difficulty_skew_difficult.parquet")


def needs(*names):
    missing = [name for name in names if not (DATA / name).is_file()]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)} in ../shared/data")


def prepared(script, name, out, *arguments):
    script.main(["--source", str(DATA / name), "--out", str(out), *map(str, arguments)])
    return out


def count_and_hash(path):
    """Number of questions, and 16 hex digits of the sha256 of all their ids."""
    ids = [info["question_id"] for info in pq.read_table(path, columns=["extra_info"])["extra_info"].to_pylist()]
    return len(ids), hashlib.sha256("".join(ids).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    """DOTS's DeepScaleR set as the script writes it."""
    return prepared(deepscaler, DOTS, tmp_path_factory.mktemp("dots") / "data.parquet")


@needs("math500.jsonl")
def test_math500_is_whole(tmp_path):
    out = prepared(math500, "math500.jsonl", tmp_path / "out.parquet")
    assert count_and_hash(out) == (500, "cbf8bbfe58c08987")


@needs("olympiadbench_oe_to_maths_en.json")
def test_olympiadbench_is_whole(tmp_path):
    out = prepared(olympiadbench, "olympiadbench_oe_to_maths_en.json", tmp_path / "out.parquet")
    assert count_and_hash(out) == (675, "354e0852ac2d9fba")


@needs(DOTS)
def test_deepscaler_loses_its_repeats_and_conflicts(dots):
    assert read_provenance(dots)["counts"] == {
        "rows read": 10240,
        "repeats of an earlier question": 104,
        "repeats but for case, spaces and LaTeX's looks": 21,
        "same question, different answers": 80,
        "rows written": 10035,
    }
    assert count_and_hash(dots) == (10035, "6313542d08f12c1d")


@needs(DOTS, "e3_train.parquet")
def test_questions_of_another_set_are_excluded(tmp_path, dots):
    out = prepared(e3, "e3_train.parquet", tmp_path / "out.parquet", "--exclude", dots)
    found = read_provenance(out)
    assert found["excluded"] == {str(dots): 2524}
    assert found["counts"]["damaged: no answer"] == 6
    assert count_and_hash(out) == (7482, "4e7231b87c53c63c")


@needs(DOTS, *ADARFT)
def test_adarfts_difficulties_are_found_by_text(tmp_path, dots):
    labels = [str(DATA / name) for name in ADARFT]
    out = tmp_path / "rated.parquet"
    add_difficulty.main([str(dots), "--labels", *labels, "--out", str(out), "--unmatched", "drop"])
    assert read_provenance(out)["counts"] == {"text": 4166, "nothing": 5869}
    rated = [info["difficulty"] for info in pq.read_table(out)["extra_info"].to_pylist()]
    assert len(rated) == 4166
    assert min(rated) == 0.0 and max(rated) == 100.0
