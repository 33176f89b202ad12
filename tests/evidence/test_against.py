"""Differences to another method than the baseline, by hand."""

import pandas as pd
import pytest
import yaml

from tests.launches import ROOT
from verl_dots.evidence import saved
from verl_dots.evidence.against import differences
from verl_dots.evidence.measures import OVERALL

MATRIX = ROOT / "recipes/evidence/cpu.yaml"
# Combination, method, seed, final accuracy.
RUNS = [
    ("a", "grpo", 1, 0.9), ("a", "few", 1, 0.5), ("a", "few", 2, 0.6), ("a", "e3", 1, 0.52), ("a", "e3", 2, 0.58),
    ("b", "few", 1, 0.4), ("b", "e3", 1, 0.44), ("b", "dots", 1, 0.7), ("b", "dots", 2, 0.7), ("c", "e3", 1, 0.99),
]  # fmt: skip
BY_SEED = pd.DataFrame(RUNS, columns=["combination", "method", "seed", "final_accuracy"])


def means(summary: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {(row.combination, row.method): row.mean for row in summary.set_index("measure").itertuples(index=False)}


def test_each_run_is_held_against_the_others_of_its_combination_and_seed():
    found = differences(BY_SEED, "few", apart=["c"])
    # Of a 2 and -2 points, of b 4; the combinations count alike.
    assert means(found)[("a", "e3")] == pytest.approx(0.0) and means(found)[("b", "e3")] == pytest.approx(0.04)
    assert means(found)[(OVERALL, "e3")] == pytest.approx(0.02)
    assert set(found.measure) == {"difference"}


def test_a_method_with_a_run_that_has_no_partner_does_not_count():
    assert "dots" not in set(differences(BY_SEED, "few", apart=["c"]).method), "seed 2 of b is alone"
    assert "e3" not in set(differences(BY_SEED, "few").method), "c has no run of few"
    assert differences(BY_SEED, "nobody").empty


def test_of_the_kept_runs_it_is_what_their_last_three_validations_give():
    apart = {name for name, one in yaml.safe_load(MATRIX.read_text())["combinations"].items() if one.get("apart")}
    steps = saved.load(ROOT / "recipes/evidence/results").steps
    steps = steps[~steps.combination.isin(apart)]
    counted = steps[(steps.kind == "accuracy") & steps.accuracy.notna()].sort_values("step")
    last = counted.groupby(["combination", "method", "seed"]).accuracy.apply(lambda all_E: all_E.iloc[-3:].mean())
    by_seed = last.rename("final_accuracy").reset_index()
    difference = last.xs("e3", level="method") - last.xs("grpo_few", level="method")
    by_hand = difference.groupby("combination").mean().mean()
    assert means(differences(by_seed, "grpo_few"))[(OVERALL, "e3")] == pytest.approx(by_hand)
