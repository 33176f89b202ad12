"""Fingerprints of two machines."""

import pandas as pd

from verl_dots.evidence.agreement import agreement
from verl_dots.evidence.records import RUN_KEY


def runs(**prints: str) -> pd.DataFrame:
    """Runs of seed 1 on one combination, by method, with their fingerprints."""
    rows = [("one", method, 1, "accuracy", text) for method, text in prints.items()]
    return pd.DataFrame(rows, columns=[*RUN_KEY, "fingerprint"])


def test_runs_of_both_machines_are_compared_and_the_others_counted():
    found = agreement(runs(grpo="a", dots="b", e3="c", dash=""), runs(grpo="a", dots="B", adarft="d", dash="e"))
    assert (found.same, found.different) == (("one/grpo-seed1 (accuracy)",), ("one/dots-seed1 (accuracy)",))
    assert (found.only_here, len(found.only_kept)) == (("one/e3-seed1 (accuracy)",), 2)
    assert found.sentence == (
        "1 of 2 runs have the kept fingerprint: one/dots-seed1 (accuracy). "
        "1 runs are here alone, 2 of the kept ones are not here."
    )


def test_the_same_runs_agree_in_any_order():
    there = runs(grpo="a", dots="b")
    found = agreement(there, there.iloc[::-1])
    assert found.sentence.startswith("2 of 2 runs have the kept fingerprint. 0 runs") and not found.different
