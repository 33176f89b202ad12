"""Training pools by what a model can do."""

import pytest

from data_prep import deepscaler, pool
from data_prep.problems import SourceError
from tests.data_prep.script_runs import infos_of, prepared, refusal
from verl_dots.data.provenance import read_provenance
from verl_dots.labelling.success_rates import Outcome, RewardRange, write_labels

RATES = [0, 0, 0, 0, 0.5, 0.25, 1, 1, 1, 1]  # of questions 0 to 9


@pytest.fixture
def data(tmp_path):
    rows = [{"problem": f"What is ${i}$?", "answer": str(i)} for i in range(len(RATES))]
    return prepared(deepscaler, tmp_path, rows, name="data")


@pytest.fixture
def labels(data, tmp_path):
    def made(count=10):
        rows = [
            (info["question_id"], "text", "0", Outcome((1.0,) * round(4 * rate) + (0.0,) * round(4 * (1 - rate))))
            for info, rate in zip(infos_of(data)[:count], RATES, strict=False)
        ]
        write_labels(tmp_path / "labels.parquet", rows, RewardRange(), {})
        return tmp_path / "labels.parquet"

    return made


def rates_of(data, labels, *arguments):
    out = data.with_name("pool.parquet")
    pool.main([str(data), "--labels", str(labels), "--out", str(out), *arguments])
    number = {info["question_id"]: place for place, info in enumerate(infos_of(data))}
    numbers = [number[info["question_id"]] for info in infos_of(out)]
    assert numbers == sorted(numbers)
    return [RATES[place] for place in numbers], out


def test_the_greatest_pool_of_these_shares(data, labels):
    rates, out = rates_of(data, labels())
    assert rates == [0, 0, 0, 0, 0.5, 0.25, 1, 1, 1, 1]
    assert read_provenance(out)["counts"] == {"hard": 4, "mixed": 2, "easy": 4}
    rates, _ = rates_of(data, labels(), "--hard", "0.5", "--easy", "0.25")
    assert rates.count(0) == 4 and rates.count(1) == 2 and len(rates) == 8
    assert rates_of(data, labels(), "--hard", "1", "--easy", "0")[0] == [0] * 4


def test_a_size_and_the_draw_by_its_seed(data, labels):
    rates, out = rates_of(data, labels(), "--size", "5", "--hard", "0.4", "--easy", "0.4")
    assert sorted(rates)[:2] == [0, 0] and rates.count(1) == 2 and len(rates) == 5
    first = out.read_bytes()
    assert rates_of(data, labels(), "--size", "5")[1].read_bytes() == first
    drawn = {rates_of(data, labels(), "--size", "5", "--seed", str(seed))[1].read_bytes() for seed in range(2, 8)}
    assert len(drawn - {first}) > 1


def test_the_parts_of_a_size_that_does_not_divide_sum_to_it():
    assert pool.pool_counts([9, 9, 9], [0.4, 0.2, 0.4], 7) == [3, 1, 3]
    assert pool.pool_counts([9, 9, 9], [1 / 3, 1 / 3, 1 / 3], 10) == [4, 3, 3]
    # A share of 0 gets nothing, and no count is below 0: 3.5 and 3.5 of 7.
    assert pool.pool_counts([9, 9, 9], [0.5, 0.5, 0], 7) == [4, 3, 0]
    # The greatest pool fits what there is: 0.5, 0.5 and 1 of 2.
    assert pool.pool_counts([10, 10, 1], [0.25, 0.25, 0.5], None) == [1, 0, 1]
    assert 1 - 0.7 - 0.3 > 0 and pool.pool_counts([7, 0, 3], [0.7, 1 - 0.7 - 0.3, 0.3], None) == [7, 0, 3]
    with pytest.raises(SourceError, match="needs 6 easy questions and there are 5"):
        pool.pool_counts([9, 9, 5], [0.2, 0.2, 0.6], 10)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--size", "50"), "needs 20 hard questions and there are 4"),
        (("--hard", "0.7", "--easy", "0.4"), "their sum at most 1"),
        (("--size", "0"), "must be 1 or more"),
    ],
)
def test_impossible_pools_are_refused(data, labels, capsys, arguments, told):
    out = data.with_name("pool.parquet")
    assert told in refusal(capsys, pool.main, data, "--labels", labels(), "--out", out, *arguments)
    assert not out.exists()


def test_a_question_without_a_label_is_named(data, labels, capsys):
    out = data.with_name("pool.parquet")
    assert "row 6 has no label" in refusal(capsys, pool.main, data, "--labels", labels(6), "--out", out)
