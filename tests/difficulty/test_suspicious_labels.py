"""Spikes and disagreements by hand; what chance makes of honest labels stays unmentioned."""

import logging

import numpy as np
import pytest

from tests.difficulty.test_labels import collected
from verl_dots.difficulty.label_files import LabelRow
from verl_dots.difficulty.labels import read_labels
from verl_dots.difficulty.suspicious_labels import disagreements, most_expected, spikes, tries_of


def rows(successes, tries, labeller="m", name="question"):
    return [LabelRow(str(i), f"{name} {i}", "1", k / tries, tries, labeller) for i, k in enumerate(successes)]


def name_of(text):
    return text.split()[0]


@pytest.mark.parametrize(
    ("rates", "tries"),
    [([0.0, 1.0], 1), ([0.5, 0.75], 4), ([1 / 3, 0.5], 6), ([5 / 128, 0.0], 128), ([0.1234567], None)],
)
def test_the_fewest_tries_that_give_all_rates(rates, tries):
    assert tries_of(rates) == tries


def test_what_even_neighbours_lead_to_expect():
    # Equal counts are those of a = 1: 100 at the end, too, give or take. The a that are likely reach below 1.
    assert 130 < most_expected(np.array([0, 100, 100, 100, 100, 100, 100, 100, 100])) < 300
    # Ten times as many labels know it better: within a third.
    assert 1000 < most_expected(np.array([0] + [1000] * 8)) < 1500
    assert most_expected(np.array([50, 0, 0, 0])) == 0


def test_a_spike_is_named_with_its_counts_and_an_example():
    # 40 labels for each of 0 to 16 successes of 16, and 100 questions that are never solved.
    even = [k for k in range(17) for _ in range(40)]
    assert not list(spikes(rows(even, 16)))
    [found] = spikes(rows(even + [0] * 400, 16))
    assert found.startswith("440 of 1080 success rates of 'm' are 0, from the values beside it at most ")
    assert found.endswith("'question 0'")
    [found] = spikes(rows([16] * 400 + even, 16))
    assert found.startswith("440 of 1080 success rates of 'm' are 1,")
    both = list(spikes(rows(even, 16) + rows(even + [0] * 400, 16, "other")))
    assert len(both) == 1 and "'other'" in both[0]


@pytest.mark.parametrize("shape", [(0.3, 0.3), (0.5, 3.0), (1.0, 1.0), (0.2, 0.5)])
@pytest.mark.parametrize("tries", [8, 16, 128])
def test_honest_labels_pile_up_at_the_ends_without_a_warning(shape, tries):
    generator = np.random.default_rng(0)
    assert not list(spikes(rows(generator.binomial(tries, generator.beta(*shape, 5000)), tries)))


def test_equal_questions_that_differ_by_more_than_chance():
    # 0 and 16 of 128: pooled 1/16, so a standard deviation of sqrt(15/256 x 2/128) = 0.0303, and 0.125 is 4.13 of them.
    # 0 and 14: 7/128, sqrt(847/16384 x 2/128) = 0.0284, 3.85. 40 and 64: 0.1875 / sqrt(13/32 x 19/32 / 64) = 3.05.
    wrong, right, other = rows([0, 16], 128, name="a"), rows([0, 14], 128, name="b"), rows([40, 64], 128, name="c")
    assert not list(disagreements(right + other, name_of))
    assert not list(disagreements(wrong, str))  # other questions
    assert not list(disagreements([wrong[0], wrong[1]._replace(labeller="n")], name_of))
    assert list(disagreements(wrong + right + other, name_of)) == [
        "1 of 3 questions with several labels of 'm' have success rates that differ by more than chance, such as 0 (of "
        "128 tries) and 0.125 (of 128): 'a 0'"
    ]


def test_reading_labels_warns(tmp_path, caplog):
    even = [k for k in range(17) for _ in range(40)]
    wrong = [(str(i), f"{i}?", "1", k / 16, 16) for i, k in enumerate(even + [0] * 400)]
    twins = [("twin", "TWIN!", "1", 0.0, 16), ("other", "twin", "2", 1.0, 16)]
    with caplog.at_level(logging.WARNING):
        read_labels([collected(tmp_path / "labels.parquet", *wrong, *twins)], labellers=["m"])
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"{tmp_path / 'labels.parquet'}: 441 of 1082 success rates of 'm' are 0")
    assert (
        second.startswith("1 of 1 questions with several labels of 'm'") and "0 (of 16 tries) and 1 (of 16)" in second
    )
