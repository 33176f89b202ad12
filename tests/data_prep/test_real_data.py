"""The published files through the scripts: as many questions as published, and always the same ones."""

import hashlib
from pathlib import Path

import pytest

from data_prep import add_difficulty, deepscaler, e3, math500, olympiadbench
from tests.data_prep.script_runs import infos_of
from verl_dots.data.provenance import read_provenance
from verl_dots.rewards import compute

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the data sets in ../shared/data")


def prepared(script, name, out, *arguments):
    script.main(["--source", str(DATA / name), "--out", str(out), *map(str, arguments)])
    return out


@pytest.fixture(scope="module")
def unchecked():
    """From here on the reward is not asked about answers, which takes longer than all else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "reads_answers", lambda source: False)
        yield


def count_and_hash(path):
    """Number of questions, and 16 hex digits of the sha256 of all their ids."""
    ids = infos_of(path, "question_id")
    return len(ids), hashlib.sha256("".join(ids).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def dots(tmp_path_factory, unchecked):
    """DOTS's DeepScaleR set as the script writes it."""
    return prepared(deepscaler, "deepscaler_10240.parquet", tmp_path_factory.mktemp("dots") / "data.parquet")


@pytest.mark.parametrize(
    ("script", "name", "expected"),
    [
        (math500, "math500.jsonl", (500, "cbf8bbfe58c08987")),
        (olympiadbench, "olympiadbench_oe_to_maths_en.json", (675, "354e0852ac2d9fba")),
    ],
)
def test_an_evaluation_set_is_whole(tmp_path, script, name, expected):
    assert count_and_hash(prepared(script, name, tmp_path / "out.parquet")) == expected


def test_deepscaler_loses_its_repeats_and_conflicts(dots):
    assert read_provenance(dots)["counts"] == {
        "rows read": 10240,
        "repeats of an earlier question": 104,
        "repeats but for case, spaces and LaTeX's looks": 21,
        "same question, different answers": 80,
        "rows written": 10035,
    }
    assert count_and_hash(dots) == (10035, "6313542d08f12c1d")


def test_questions_of_another_set_are_excluded(tmp_path, dots):
    out = prepared(e3, "e3_train.parquet", tmp_path / "out.parquet", "--exclude", dots)
    found = read_provenance(out)
    assert found["excluded"] == {str(dots): 2524}
    assert found["counts"]["damaged: no answer"] == 6
    assert count_and_hash(out) == (7482, "4e7231b87c53c63c")


def test_adarfts_difficulties_are_found_by_text(tmp_path, dots):
    labels = [str(DATA / f"deepscaler_difficulty_{name}.parquet") for name in ("uniform", "skew_difficult")]
    out = tmp_path / "rated.parquet"
    add_difficulty.main([str(dots), "--labels", *labels, "--out", str(out), "--unmatched", "drop"])
    assert read_provenance(out)["counts"] == {"text": 4166, "nothing": 5869}
    rated = infos_of(out, "difficulty")
    assert (len(rated), min(rated), max(rated)) == (4166, 0.0, 100.0)
