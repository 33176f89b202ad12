import math

import pytest

from tests.evidence.hand import evidence, run
from verl_dots.evidence.measures import OVERALL, SUMMARY_COLUMNS, saved_column
from verl_dots.evidence.measuring import measure

GRPO = run({0: 0.0, 10: 0.4})
SAVED = saved_column("steps")


def at(step):
    """A run that has 0.4 at a step, and keeps it."""
    return run({0: 0.0, step: 0.4, 10: 0.4})


def row_of(found, method, measure_name=SAVED, combination="c"):
    table = found.summary.set_index(["combination", "method", "measure"])
    return table.loc[combination, method, measure_name].to_dict()


def test_mean_deviation_and_interval_over_paired_seeds():
    # Steps saved: 0.2, 0.4 and 0.9.
    runs = {("grpo", seed): GRPO for seed in (1, 2, 3)} | {
        ("dots", seed): at(step) for seed, step in ((1, 8), (2, 6), (3, 1))
    }
    found = measure(evidence(runs), smoothing="none")
    assert tuple(found.summary.columns) == SUMMARY_COLUMNS
    # Mean 0.5, deviations -0.3, -0.1, 0.4: variance 0.26 / 2.
    expected = {"mean": 0.5, "std": math.sqrt(0.13), "low": 0.2, "high": 0.9, "seeds": 3, "reached": 3, "pairs": 0}
    assert row_of(found, "dots") == pytest.approx(expected)
    assert row_of(found, "grpo") == {"mean": 0, "std": 0, "low": 0, "high": 0, "seeds": 3, "reached": 3, "pairs": 0}
    assert set(found.summary["combination"]) == {"c"}


def test_what_one_seed_does_not_reach_has_no_mean():
    runs = {("grpo", seed): GRPO for seed in (1, 2)} | {("dots", 1): at(2), ("dots", 2): run({0: 0.0, 10: 0.3})}
    found = measure(evidence(runs), smoothing="none")
    row = row_of(found, "dots")
    assert (row["seeds"], row["reached"]) == (2, 1)
    assert all(math.isnan(row[name]) for name in ("mean", "std", "low", "high"))
    assert row_of(found, "dots", "final_accuracy")["mean"] == pytest.approx(0.35)
    runs["dots", 1] = runs["dots", 2]
    assert row_of(measure(evidence(runs), smoothing="none"), "dots")["reached"] == 0


def test_one_seed_has_a_mean_and_no_interval():
    row = row_of(measure(evidence({("grpo", 1): GRPO, ("dots", 1): at(5)}), smoothing="none"), "dots")
    assert (row["mean"], row["seeds"], row["reached"]) == (0.5, 1, 1)
    assert all(math.isnan(row[name]) for name in ("std", "low", "high"))


def test_combinations_count_alike_whatever_their_seeds():
    runs = {
        ("grpo", 1, "accuracy", "a"): GRPO, ("grpo", 2, "accuracy", "a"): GRPO, ("grpo", 1, "accuracy", "b"): GRPO,
        ("dots", 1, "accuracy", "a"): at(8), ("dots", 2, "accuracy", "a"): at(6), ("dots", 1, "accuracy", "b"): at(1),
        ("e3", 1, "accuracy", "b"): at(1),
    }  # fmt: skip
    found = measure(evidence(runs), smoothing="none")
    row = row_of(found, "dots", combination=OVERALL)
    # (0.2 + 0.4) / 2 and 0.9: mean 0.6, deviation of 0.3 and 0.9.
    assert row["mean"] == pytest.approx(0.6) and row["std"] == pytest.approx(0.3 * math.sqrt(2))
    assert (row["seeds"], row["reached"]) == (3, 3) and math.isnan(row["low"])  # b has one seed
    lacking = row_of(found, "e3", combination=OVERALL)
    assert math.isnan(lacking["mean"]) and (lacking["seeds"], lacking["reached"]) == (1, 1)
    runs["dots", 1, "accuracy", "b"] = run({0: 0.0, 10: 0.3})
    failed = row_of(measure(evidence(runs), smoothing="none"), "dots", combination=OVERALL)
    assert math.isnan(failed["mean"]) and (failed["seeds"], failed["reached"]) == (3, 2)


def timed_runs(steps, seconds):
    """Two seeds on a and b, which have 0.4 at these steps; timing runs of these seconds, of a's and of b's rounds."""
    runs = {("grpo", seed, "accuracy", name): GRPO for name in "ab" for seed in (1, 2)}
    runs |= {("dots", seed, "accuracy", name): at(step) for name in "ab" for seed, step in enumerate(steps, start=1)}
    for name, of in zip("ab", seconds, strict=True):
        for number, each in enumerate(of, start=1):
            runs["grpo", number, "time", name] = run({0: 0.0, 4: 1.0}, seconds=1.0)
            runs["dots", number, "time", name] = run({0: 0.0, 4: 1.0}, seconds=each)
    return measure(evidence(runs), smoothing="none")


def ends(row):
    return [row[name] for name in ("mean", "low", "high", "pairs")]


def test_the_mean_time_of_a_step_has_the_interval_of_its_pairs_by_hand():
    found = timed_runs((5, 5), ([0.5], [0.7]))
    # Deviation 0.1 sqrt(2) of both ratios, of their mean 0.1; t of one degree of freedom is 12.706205.
    ratio = row_of(found, "dots", "step_ratio", OVERALL)
    assert ends(ratio) == pytest.approx([0.6, 0.6 - 1.2706205, 0.6 + 1.2706205, 2])
    saved = row_of(found, "dots", "saved_per_step", OVERALL)
    assert ends(saved) == pytest.approx([0.4, 0.4 - 1.2706205, 0.4 + 1.2706205, 2])
    # Half of the steps, in every run: half of the noise, and none of the seeds.
    total = row_of(found, "dots", saved_column("time"), OVERALL)
    assert ends(total) == pytest.approx([0.7, 0.7 - 1.2706205 / 2, 0.7 + 1.2706205 / 2, 2])
    for name in ("step_ratio", "saved_per_step", saved_column("time")):
        row = row_of(found, "dots", name, "a")  # of a single round
        assert math.isnan(row["low"]) and math.isnan(row["high"]) and row["pairs"] == 1
    seconds = row_of(found, "dots", "step_seconds", OVERALL)
    assert math.isnan(seconds["low"]) and seconds["pairs"] == 2


def test_a_total_has_the_noise_of_seeds_and_of_pairs_by_hand():
    # Steps 0.3 and 0.7 of GRPO's: in mean 0.5. Of four ratios the deviation is sqrt(0.05 / 3); t of three is 3.182446.
    found = timed_runs((3, 7), ([0.4, 0.6], [0.5, 0.7]))
    half = 3.182446 * math.sqrt(0.05 / 3) / 2
    ratio = row_of(found, "dots", "step_ratio", OVERALL)
    assert ends(ratio) == pytest.approx([0.55, 0.55 - half, 0.55 + half, 4])
    total, steps = (row_of(found, "dots", saved_column(what), OVERALL) for what in ("time", "steps"))
    # Seeds: 0.3 and 0.7 in both combinations, squares 0.08 each, two degrees of freedom; t of two is 4.302653.
    of_steps = 4.302653 * math.sqrt(0.08) / 2
    assert (steps["low"], steps["high"]) == pytest.approx((0.5 - of_steps, 0.5 + of_steps))
    # Totals 0.85 and 0.65, 0.82 and 0.58: squares 0.02 and 0.0288.
    seeds = 4.302653 * math.sqrt(0.0488 / 2) / 2
    assert ends(total) == pytest.approx(
        [1 - 0.275, 0.725 - math.hypot(seeds, half / 2), 0.725 + math.hypot(seeds, half / 2), 4]
    )
    # Of a alone: 0.4 and 0.6, deviation sqrt(0.02), of their mean 0.1.
    alone = row_of(found, "dots", "step_ratio", "a")
    assert ends(alone) == pytest.approx([0.5, 0.5 - 1.2706205, 0.5 + 1.2706205, 2])


def test_where_one_combination_was_not_timed_the_mean_has_no_interval():
    row = row_of(timed_runs((5, 5), ([0.5, 0.7], [])), "dots", "step_ratio", OVERALL)
    assert row["mean"] == pytest.approx(0.8) and math.isnan(row["low"]) and row["pairs"] == 2


def test_a_combination_that_stands_apart_is_no_part_of_the_mean():
    runs = {("grpo", 1, "accuracy", name): GRPO for name in "abc"}
    runs |= {("dots", 1, "accuracy", "a"): at(8), ("dots", 1, "accuracy", "b"): at(6)}
    runs |= {("dots", 1, "accuracy", "c"): at(1), ("e3", 1, "accuracy", "c"): at(1)}
    found = measure(evidence(runs), smoothing="none", apart=["c"])
    assert row_of(found, "dots", combination=OVERALL)["mean"] == pytest.approx((0.2 + 0.4) / 2)
    assert row_of(found, "dots", combination="c")["mean"] == pytest.approx(0.9)
    overall = found.summary[found.summary.combination == OVERALL]
    assert "e3" not in set(overall.method)  # which has no run of the others
    alone = measure(evidence(runs), smoothing="none", apart=["b", "c"]).summary
    assert OVERALL not in set(alone.combination)  # of one there is no mean
