"""Repeats, conflicts and samples."""

import numpy as np

from data_prep.selection import Digests
from tests.refusals import refused


def digests(*questions):
    found = Digests()
    for position, (question, answer) in enumerate(questions):
        found.add(10 * position, question, answer)
    return found


def test_repeats_leave_and_are_counted_by_kind():
    found = digests(("a", "1"), ("b", "2"), ("a", "1"), ("A ", "$1$"), ("c", "3")).select("drop", None, 1)
    assert found.position_K.tolist() == [0, 10, 40]
    assert found.counts == {
        "repeats of an earlier question": 1,
        "repeats but for case, spaces and LaTeX's looks": 1,
        "same question, different answers": 0,
    }


def test_conflicts_are_dropped_kept_or_refused():
    found = digests(("a", "1"), ("b", "2"), ("A", "3"), ("a", "1"))
    assert found.select("drop", None, 1).position_K.tolist() == [10]
    assert found.select("drop", None, 1).counts["same question, different answers"] == 2
    assert found.select("keep", None, 1).position_K.tolist() == [0, 10, 20]
    with refused("--conflicts", "data", "2 questions"):
        found.select("error", None, 1)
    with refused("--conflicts", "choice", "first"):
        found.select("first", None, 1)


def test_a_larger_sample_holds_the_smaller_and_another_seed_is_another_sample():
    found = digests(*((f"question {i}", str(i)) for i in range(300)))

    def sample(size, seed):
        return set(found.select("drop", size, seed).position_K.tolist())

    assert sample(50, 1) < sample(100, 1)
    # 50 of 300 twice share 8.3 on average; more than 25 has a probability below 1e-8.
    assert len(sample(50, 1) & sample(50, 2)) <= 25


def test_every_question_is_as_likely():
    counts = np.zeros(20)
    found = digests(*((f"question {i}", str(i)) for i in range(20)))
    for seed in range(400):
        counts[found.select("drop", 5, seed).position_K // 10] += 1
    # Binomial(400, 1/4): mean 100, standard deviation 8.7; five of them either way for all 20 fails once in 80,000.
    assert counts.min() > 56 and counts.max() < 144
