import json

import pyarrow.parquet as pq
import pytest

from verl_dots.difficulty.collection.rates import (
    Outcome,
    ProgressFile,
    RewardOutOfRange,
    RewardRange,
    read_provenance,
    write_labels,
)
from verl_dots.settings import ConfigError

SETTINGS = {"model": "a", "temperature": 0.6, "rollouts": 2}


def test_success_rate_is_the_mean_reward_in_its_range():
    assert RewardRange().success_rate((1.0, 0.0, 0.0, 1.0), "q") == 0.5
    # Mean -0.5 lies a quarter of the way from -1 to 1.
    assert RewardRange(-1.0, 1.0).success_rate((1.0, -1.0, -1.0, -1.0), "q") == 0.25
    # (6 / 2 - 0) / 12
    assert RewardRange(0.0, 12.0).success_rate((6.0, 0.0), "q") == 0.25


@pytest.mark.parametrize("reward", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_reward_outside_the_range_names_the_question_and_the_fix(reward):
    with pytest.raises(RewardOutOfRange, match="question abc: reward .* outside .0, 1.*--reward-range"):
        RewardRange().success_rate((0.0, reward), "abc")


def test_a_question_without_rollouts_has_no_success_rate():
    with pytest.raises(ValueError, match="question abc has no rollouts"):
        RewardRange().success_rate((), "abc")


def test_a_range_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="--reward-range 1 1"):
        RewardRange(1.0, 1.0)


def test_progress_is_read_back(tmp_path):
    path = tmp_path / "new" / "progress.jsonl"
    with ProgressFile(path, SETTINGS) as progress:
        progress.add("a", Outcome((1.0, 0.0), (5, 7)))
        # On disk at once: a process that is killed loses nothing.
        assert ProgressFile(path, SETTINGS).done == {"a": Outcome((1.0, 0.0), (5, 7))}
    with ProgressFile(path, SETTINGS) as progress:
        progress.add("b", Outcome((0.1 + 0.2, 1 / 3), None))
    assert ProgressFile(path, SETTINGS).done == {
        "a": Outcome((1.0, 0.0), (5, 7)),
        "b": Outcome((0.1 + 0.2, 1 / 3), None),
    }


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_cut_short_by_a_crash_is_left_out_and_written_again(tmp_path, cut):
    path = tmp_path / "progress.jsonl"
    with ProgressFile(path, SETTINGS) as progress:
        progress.add("a", Outcome((1.0,), (5,)))
        progress.add("b", Outcome((0.0,), (6,)))
    path.write_text(path.read_text()[:-cut])
    with ProgressFile(path, SETTINGS) as progress:
        assert list(progress.done) == ["a"]
        progress.add("c", Outcome((1.0,), (7,)))
    assert list(ProgressFile(path, SETTINGS).done) == ["a", "c"]


def test_a_crash_before_the_first_line_is_a_fresh_start(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text('{"settings": {"mod')
    with ProgressFile(path, SETTINGS) as progress:
        progress.add("a", Outcome((1.0,), (5,)))
    assert list(ProgressFile(path, SETTINGS).done) == ["a"]


def test_progress_of_other_settings_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "progress.jsonl"
    with ProgressFile(path, SETTINGS) as progress:
        progress.add("a", Outcome((1.0,), (5,)))
    with pytest.raises(ConfigError) as error:
        ProgressFile(path, {**SETTINGS, "model": "b", "top_p": 1.0})
    assert "model: 'a' there, 'b' now; top_p: None there, 1.0 now" in str(error.value)
    assert "temperature" not in str(error.value)
    assert "choose another --out" in str(error.value)


def test_progress_without_a_question_binds_nobody(tmp_path):
    path = tmp_path / "progress.jsonl"
    with ProgressFile(path, SETTINGS):
        assert not path.exists()
    path.write_text(json.dumps({"settings": SETTINGS}) + "\n")
    with ProgressFile(path, {"model": "b"}) as progress:
        progress.add("a", Outcome((1.0,), (5,)))
    assert list(ProgressFile(path, {"model": "b"}).done) == ["a"]


@pytest.mark.parametrize("text", ["no json\n", "[1]\n", '{"settings": {}}\n{"question_id": "a"}\n'])
def test_what_is_no_progress_file_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "progress.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match="is not a progress file"):
        ProgressFile(path, {})
    assert path.read_text() == text


def test_labels_hold_rates_lengths_and_provenance(tmp_path):
    rows = [("a", "1+1?", "2", Outcome((1.0, 0.0, 0.0, 0.0), (4, 6, 6, 8))), ("b", "2+2?", "4", Outcome((1.0, 1.0)))]
    write_labels(tmp_path / "labels.parquet", rows, RewardRange(), {"model": "m"})
    assert pq.read_table(tmp_path / "labels.parquet").to_pylist() == [
        {
            "question_id": "a",
            "text": "1+1?",
            "answer": "2",
            "success_rate": 0.25,
            "rollouts": 4,
            "mean_response_length": 6.0,
        },
        {
            "question_id": "b",
            "text": "2+2?",
            "answer": "4",
            "success_rate": 1.0,
            "rollouts": 2,
            "mean_response_length": None,
        },
    ]
    assert read_provenance(tmp_path / "labels.parquet") == {"model": "m"}
    write_labels(tmp_path / "again.parquet", rows, RewardRange(), {"model": "m"})
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "labels.parquet").read_bytes()


def test_a_write_that_fails_leaves_the_old_labels(tmp_path):
    path = tmp_path / "labels.parquet"
    write_labels(path, [("a", "1+1?", "2", Outcome((1.0,)))], RewardRange(), {})
    before = path.read_bytes()
    with pytest.raises(RewardOutOfRange):
        write_labels(path, [("b", "2+2?", "4", Outcome((3.0,)))], RewardRange(), {})
    with pytest.raises(ValueError, match="no questions"):
        write_labels(path, [], RewardRange(), {})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["labels.parquet"]


def test_provenance_of_other_files(tmp_path):
    (tmp_path / "text.parquet").write_text(json.dumps({"no": "parquet"}))
    with pytest.raises(ConfigError, match="is not a parquet file"):
        read_provenance(tmp_path / "text.parquet")
