import pyarrow.parquet as pq
import pytest

from tests.refusals import refused
from verl_dots.data.provenance import read_provenance
from verl_dots.labelling.success_rates import Outcome, ProgressFile, RewardOutOfRange, RewardRange, write_labels


@pytest.mark.parametrize(
    ("interval", "rewards", "rate"),
    [
        ((), (1.0, 0.0, 0.0, 1.0), 0.5),
        ((-1.0, 1.0), (1.0, -1.0, -1.0, -1.0), 0.25),  # mean -0.5, a quarter of the way from -1 to 1
        ((0.0, 12.0), (6.0, 0.0), 0.25),  # (6 / 2 - 0) / 12
    ],
)
def test_success_rate_is_the_mean_reward_in_its_range(interval, rewards, rate):
    assert RewardRange(*interval).success_rate(rewards, "q") == rate


@pytest.mark.parametrize("reward", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_reward_outside_the_range_names_the_question_and_the_fix(reward):
    with pytest.raises(RewardOutOfRange, match="question abc: reward .* outside .0, 1.*--reward-range"):
        RewardRange().success_rate((0.0, reward), "abc")


def test_neither_a_question_without_rollouts_nor_a_range_of_nothing_has_a_success_rate():
    with pytest.raises(ValueError, match="question abc"):
        RewardRange().success_rate((), "abc")
    for low, high in ((1.0, 1.0), (0.0, float("inf")), (-1e308, 1e308), (float("nan"), 1.0)):
        with refused("--reward-range", "range", f"{low:g} {high:g}"):
            RewardRange(low, high)


def test_progress_is_read_back(tmp_path):
    done = {"a": Outcome((1.0, 0.0), (5, 7)), "b": Outcome((0.1 + 0.2, 1 / 3), None)}
    with ProgressFile(tmp_path / "progress.jsonl", {}) as progress:
        for question_id, outcome in done.items():
            progress.add(question_id, outcome)
    assert ProgressFile(tmp_path / "progress.jsonl", {}).done == done


def test_labels_hold_rates_lengths_and_provenance(tmp_path):
    rows = [("a", "1+1?", "2", Outcome((1.0, 0.0, 0.0, 0.0), (4, 6, 6, 8))), ("b", "2+2?", "4", Outcome((1.0, 1.0)))]
    write_labels(tmp_path / "labels.parquet", rows, RewardRange(), {"model": "m"}, "models/m")
    assert pq.read_table(tmp_path / "labels.parquet").to_pydict() == {
        "question_id": ["a", "b"],
        "text": ["1+1?", "2+2?"],
        "answer": ["2", "4"],
        "success_rate": [0.25, 1.0],
        "rollouts": [4, 2],
        "mean_response_length": [6.0, None],
        "labeller": ["models/m", "models/m"],
    }
    assert read_provenance(tmp_path / "labels.parquet") == {"model": "m"}
    write_labels(tmp_path / "again.parquet", rows, RewardRange(), {"model": "m"}, "models/m")
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
