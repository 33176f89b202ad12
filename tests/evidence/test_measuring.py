import math

import pandas as pd
import pytest

from tests.evidence.hand import evidence, run
from tests.refusals import refused
from verl_dots.evidence.measures import (
    COSTS,
    HOLDS,
    ROUND_COLUMNS,
    SHARES,
    bound_of,
    cost_column,
    ratio_column,
    saved_column,
    target_column,
)
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.records import Evidence

# Half of the gain is at 0.4: first at step 10, and for good a third of the way from 20 to 30.
GRPO = run({0: 0.2, 10: 0.4, 20: 0.3, 30: 0.6})
# 0.6 is first 4/5 of the way from 0 to 10, and for good a third of the way from 20 to 30.
DOTS = run({0: 0.2, 10: 0.7, 20: 0.5, 30: 0.8}, seconds=3.0, tokens=50, rollouts=6)
NEVER = run({0: 0.2, 10: 0.3, 20: 0.4, 30: 0.5})


def rows_of(runs, **options):
    """Rows of `by_seed` by method and seed."""
    found = measure(evidence(runs), **{"smoothing": "none"} | options).by_seed
    return {(row["method"], row["seed"]): row for row in found.to_dict("records")}


def test_costs_of_reaching_the_baselines_accuracies_by_hand():
    rows = rows_of({("grpo", 1): GRPO, ("dots", 1): DOTS})
    grpo, dots = rows["grpo", 1], rows["dots", 1]
    assert [dots[target_column(share)] for share in SHARES] == pytest.approx([0.4, 0.5, 0.56, 0.6])
    assert (dots["first_accuracy"], dots["final_accuracy"]) == (0.2, 0.8)
    assert (dots["gain"], dots["difference"]) == pytest.approx((0.6, 0.2))
    assert [dots[cost] for cost in COSTS] == [30, 90, 1500, 180]
    found = [dots[cost_column(cost, 100, hold)] for hold in HOLDS for cost in COSTS]
    assert found == pytest.approx([8, 24, 400, 48, 70 / 3, 70, 3500 / 3, 140])
    # 0.4, 0.5 and 0.56 are 2/5, 3/5 and 18/25 of the way from 0 to 10. All later accuracies are 0.5 or more.
    assert [dots[cost_column("steps", share, "first")] for share in (50, 75, 90)] == pytest.approx([4, 6, 7.2])
    assert [dots[cost_column("steps", share, "kept")] for share in (50, 75, 90)] == pytest.approx([4, 6, 22])
    assert [grpo[cost_column("steps", 50, hold)] for hold in HOLDS] == pytest.approx([10, 70 / 3])
    assert [grpo[cost_column("steps", 100, hold)] for hold in HOLDS] == [30, 30]


def test_accuracy_above_the_baselines_at_equal_tokens_by_hand():
    rows = rows_of({("grpo", 1): GRPO, ("dots", 1): DOTS, ("never", 1): NEVER})
    # In all 1500 tokens, where GRPO is half of the way from 0.4 to 0.3.
    assert rows["dots", 1]["difference_at_tokens"] == pytest.approx(0.8 - 0.35)
    assert rows["never", 1]["difference_at_tokens"] == pytest.approx(rows["never", 1]["difference"])
    assert rows["grpo", 1]["difference_at_tokens"] == 0
    more = run({0: 0.2, 10: 0.3, 20: 0.7}, tokens=300)  # 6000 in all; GRPO's 3000 are at step 10
    assert rows_of({("grpo", 1): GRPO, ("more", 1): more})["more", 1]["difference_at_tokens"] == pytest.approx(-0.3)


@pytest.mark.parametrize("without", ["grpo", "dots"])
def test_where_tokens_are_not_recorded_nothing_is_said_of_equal_ones(without):
    runs = {("grpo", 1): GRPO, ("dots", 1): DOTS}
    runs[without, 1] = runs[without, 1].assign(generated_tokens=math.nan)
    assert math.isnan(rows_of(runs)["dots", 1]["difference_at_tokens"])


def test_savings_by_hand():
    dots = rows_of({("grpo", 1): GRPO, ("dots", 1): DOTS})["dots", 1]
    assert (dots["step_seconds"], dots["step_ratio"], dots["saved_per_step"]) == (3.0, 1.5, -0.5)
    assert dots["step_source"] == "accuracy" and dots["baseline"] == "grpo"
    # 8 of 30 steps, 24 of 60 seconds, 400 of 3000 tokens, 48 of 120 rollouts.
    names = ("steps", "train_seconds", "tokens", "rollouts", "time")
    found = [dots[saved_column(name, 100, "first")] for name in names]
    assert found == pytest.approx([22 / 30, 0.6, 2600 / 3000, 0.6, 0.6])
    assert dots[ratio_column(100, "first")] == pytest.approx(0.4)
    # 70/3 of 30 steps that take 1.5 times as long.
    assert dots[saved_column("time")] == pytest.approx(1 - 70 / 90 * 1.5)


def test_the_baseline_saves_nothing_against_itself():
    for smoothing in ("none", "trailing", "monotone"):
        row = rows_of({("grpo", 1): GRPO}, smoothing=smoothing)["grpo", 1]
        saved = [value for name, value in row.items() if name.startswith("saved_")]
        assert len(saved) == 1 + 5 * len(SHARES) * len(HOLDS) and set(saved) == {0.0}
        assert row["difference"] == 0 and row["step_ratio"] == 1


def test_what_is_kept_may_fall_by_the_tolerance():
    # From 0.7 at step 10 the curve falls to 0.5, by 0.1 below the target of 0.6.
    kept = [
        rows_of({("grpo", 1): GRPO, ("dots", 1): DOTS}, tolerance=tolerance)["dots", 1][cost_column("steps")]
        for tolerance in (0.0, 0.09, 0.11)
    ]
    assert kept == pytest.approx([70 / 3, 70 / 3, 8])
    fallen = run({0: 0.2, 10: 0.7, 20: 0.5})
    row = rows_of({("grpo", 1): GRPO, ("dots", 1): fallen})["dots", 1]
    assert row[cost_column("steps", 100, "first")] == pytest.approx(8) and math.isnan(row[cost_column("steps")])


def test_without_a_reach_there_is_no_cost_and_no_saving():
    row = rows_of({("grpo", 1): GRPO, ("dots", 1): NEVER})["dots", 1]
    assert all(math.isnan(row[cost_column(cost, 100, hold)]) for cost in COSTS for hold in HOLDS)
    assert math.isnan(row[saved_column("time")]) and math.isnan(row[ratio_column()])
    # 0.4 and 0.5 are there at steps 20 and 30; the costs of these stand.
    assert [row[cost_column("steps", share)] for share in (50, 75)] == pytest.approx([20, 30])
    assert row["saved_per_step"] == 0


def bounds(row, share=100, hold="first"):
    """The most that is saved: of steps, tokens, rollouts and time."""
    return [row[bound_of(saved_column(what, share, hold))] for what in ("steps", "tokens", "rollouts", "time")]


def test_a_run_that_never_comes_there_saves_at_most_what_its_whole_cost_leaves_by_hand():
    # GRPO first has 0.5 at 20 + 10 * 2/3 steps; this one has 0.45 at most, in 20 steps of 4 s, 50 tokens, 6 rollouts.
    short = run({0: 0.2, 10: 0.45, 20: 0.4}, seconds=4.0, tokens=50, rollouts=6)
    row = rows_of({("grpo", 1): GRPO, ("dots", 1): short})["dots", 1]
    steps = 20 / (80 / 3)  # of GRPO's
    assert bounds(row, share=75) == pytest.approx([1 - steps, 1 - steps / 2, 1 - steps * 6 / 4, 1 - steps * 2])
    # To the final accuracy GRPO needs 30.
    assert bounds(row) == pytest.approx([1 / 3, 1 - 1 / 3, 0, 1 - 4 / 3])
    assert bounds(row, hold="kept") == bounds(row)
    # Where it comes there, it is what it saves: 0.4 of the way to 0.45 and to the half of the gain.
    assert bounds(row, share=50) == [row[saved_column(what, 50, "first")] for what in
                                     ("steps", "tokens", "rollouts", "time")]  # fmt: skip
    never = rows_of({("grpo", 1): GRPO, ("dots", 1): NEVER})["dots", 1]
    assert bounds(never)[0] == 0, "GRPO has its own final accuracy at its last step"


def test_without_a_target_or_a_known_first_reach_there_is_no_bound():
    flat = run({0: 0.4, 10: 0.5, 20: 0.4})
    assert all(map(math.isnan, bounds(rows_of({("grpo", 1): flat, ("dots", 1): NEVER})["dots", 1])))
    late = DOTS[DOTS["step"] >= 10]  # it was there earlier, and nobody knows when
    assert all(map(math.isnan, bounds(rows_of({("grpo", 1): GRPO, ("dots", 1): late})["dots", 1])))


def test_a_baseline_that_does_not_climb_gives_no_target():
    flat = run({0: 0.4, 10: 0.5, 20: 0.4})
    rows = rows_of({("grpo", 1): flat, ("dots", 1): DOTS})
    for row in rows.values():
        assert all(math.isnan(row[target_column(share)]) for share in SHARES)
        assert math.isnan(row[cost_column("steps", 50, "first")]) and math.isnan(row[saved_column("steps")])
    assert rows["dots", 1]["final_accuracy"] == 0.8


def test_a_curve_that_begins_above_the_target_after_training_began_was_there_at_an_unknown_cost():
    late = DOTS[DOTS["step"] >= 10]
    row = rows_of({("grpo", 1): GRPO, ("dots", 1): late})["dots", 1]
    assert math.isnan(row[cost_column("steps", 100, "first")]) and row[cost_column("steps")] == pytest.approx(70 / 3)
    # Before training all have the same model: what one is above another then is chance, and saves nothing.
    ready = run({0: 0.7, 10: 0.7})
    row = rows_of({("grpo", 1): GRPO, ("dots", 1): ready})["dots", 1]
    assert math.isnan(row[cost_column("steps")]) and math.isnan(row[saved_column("steps")])


def test_a_run_that_was_not_validated_before_training_changes_nobody_elses_gain():
    """Of 20 % and 60 % GRPO has half of its gain at 40 %, whether another run was validated at step 0 or not."""
    grpo = run({0: 0.2, 3: 0.3, 6: 0.4, 9: 0.5, 12: 0.6})
    dots = run({0: 0.2, 3: 0.4, 6: 0.5, 9: 0.6, 12: 0.7})
    runs = {("grpo", 1): grpo, ("dots", 1): dots, ("adarft", 1): run({3: 0.3, 6: 0.4, 9: 0.5, 12: 0.6})}
    rows = measure(evidence(runs), smoothing="monotone").by_seed.set_index(["method", "seed"])
    alone = measure(evidence({key: runs[key] for key in list(runs)[:2]}), smoothing="monotone").by_seed
    for method, before in zip(("grpo", "dots"), alone.to_dict("records"), strict=True):
        row = rows.loc[method, 1]
        assert (row["gain"], row["first_accuracy"]) == (before["gain"], before["first_accuracy"])
        assert row[target_column(50)] == before[target_column(50)] == pytest.approx(0.4)
    assert rows.loc["dots", 1]["first_accuracy"] == 0.2


def test_a_run_that_trained_on_after_its_last_validation_may_have_come_there_unseen():
    """GRPO has its 70 % after 10 steps. DOTS has 60 % after 8 and trains to 10: it may have it soon after 8."""
    dots = run({0: 0.3, 8: 0.6, 10: math.nan})
    row = rows_of({("grpo", 1): run({0: 0.3, 10: 0.7}), ("dots", 1): dots})["dots", 1]
    assert row[bound_of(saved_column("steps"))] == pytest.approx(0.2)


def test_at_equal_tokens_nothing_is_extrapolated():
    """DOTS is first validated when it has generated more than GRPO in all."""
    grpo = run({0: 0.3, 10: 0.5, 20: 0.7}, tokens=100)
    row = rows_of({("grpo", 1): grpo, ("dots", 1): run({10: 0.6, 20: 0.8}, tokens=1000)})["dots", 1]
    assert math.isnan(row["difference_at_tokens"])


def test_a_cost_that_was_not_recorded_is_missing_alone():
    old = DOTS.assign(generated_rollouts=math.nan)
    row = rows_of({("grpo", 1): GRPO, ("dots", 1): old})["dots", 1]
    assert math.isnan(row[cost_column("generated_rollouts")]) and math.isnan(row[saved_column("rollouts")])
    assert row[cost_column("steps")] == pytest.approx(70 / 3)


def test_means_over_a_run_and_the_first_correlation_that_it_has():
    told = {"training/effective_groups": 0.5, "training/all_wrong_groups": 0.25, "selection/rho": 0.1}
    rows = rows_of({("grpo", 1): GRPO, ("dots", 1): run({0: 0.2, 4: 0.6}, **told)})
    row = rows["dots", 1]
    assert [row[name] for name in ("effective_groups", "all_wrong", "rho")] == [0.5, 0.25, 0.1]
    assert math.isnan(row["all_right"]) and math.isnan(rows["grpo", 1]["rho"])
    both = run({0: 0.2, 4: 0.6}, **told | {"selection/reference/rho": 0.9})
    assert rows_of({("grpo", 1): GRPO, ("dots", 1): both})["dots", 1]["rho"] == pytest.approx(0.9)


def test_effective_questions_among_the_selected_and_rows_of_the_update():
    """A group that was refilled is selected and not trained on; half of the rows leave the update."""
    told = {"training/effective_groups": 1.0, "selection/effective_groups": 0.75, "filter/share": 0.5}
    rows = rows_of({("grpo", 1): GRPO, ("dots", 1): run({0: 0.2, 4: 0.6}, **told)})
    row = rows["dots", 1]
    assert [row[name] for name in ("effective_groups", "effective_selected", "updated_rows")] == [1.0, 0.75, 0.5]
    assert math.isnan(rows["grpo", 1]["effective_selected"]) and math.isnan(rows["grpo", 1]["updated_rows"])


def test_seconds_of_parts_are_columns_at_the_end():
    timed = run({0: 0.2, 4: 0.6}, **{"timing_s/step": 3.0, "timing_s/gen": 1.5})
    found = measure(evidence({("grpo", 1): GRPO, ("dots", 1): timed})).by_seed
    assert list(found.columns[-2:]) == ["timing_s/gen", "timing_s/step"]
    assert found["timing_s/gen"].tolist()[1] == 1.5 and math.isnan(found["timing_s/gen"].tolist()[0])


def test_the_same_true_curve_makes_no_difference_wherever_it_was_validated():
    """Both are right in 2 % more with each step. Of steps 24, 27, 30 the mean is 54 %, of 21, 24, 30 it is 50 %."""
    every = {step: step / 50 for step in range(0, 31, 3)}
    lacks = {step: accuracy for step, accuracy in every.items() if step != 27}
    rare = {step: step / 50 for step in range(0, 31, 10)}
    runs = {("grpo", 1): run(every), ("dots", 1): run(lacks), ("e3", 1): run(rare)}
    found = measure(evidence(runs))
    rows = {row["method"]: row for row in found.by_seed.to_dict("records")}
    assert [rows[name]["final_accuracy"] for name in ("grpo", "dots")] == pytest.approx([0.5, 0.5])
    assert rows["dots"]["difference"] == pytest.approx(0) and rows["dots"][saved_column("steps")] == pytest.approx(0)
    assert set(rows) == {"grpo", "dots"} and len(found.notes) == 2
    assert "c, seed 1: e3 is left out: it shares 2 of 4 validations with grpo" in found.notes[1]


def test_a_seed_without_the_baseline_is_left_out_and_named():
    found = measure(evidence({("grpo", 1): GRPO, ("dots", 1): DOTS, ("dots", 2): DOTS}))
    assert found.by_seed["seed"].tolist() == [1, 1]
    assert found.notes == ("c: dots, seed 2, is left out: grpo has no run of that seed.",)


def test_what_cannot_be_measured_is_refused():
    with refused("--baseline", "missing", "c ", "grpo", "dots"):
        measure(evidence({("dots", 1): DOTS}))
    with refused("--tolerance", "range", "-0.1"):
        measure(evidence({("grpo", 1): GRPO}), tolerance=-0.1)
    with refused("--smoothing", "unknown", "mean", "none, trailing, monotone"):
        measure(evidence({("grpo", 1): GRPO}), smoothing="mean")
    blind = DOTS.assign(accuracy=math.nan)
    with refused("c/dots/1/accuracy", "data"):
        measure(evidence({("grpo", 1): GRPO, ("dots", 1): blind}))


def test_another_baseline():
    rows = rows_of({("grpo", 1): GRPO, ("dots", 1): DOTS}, baseline="dots")
    assert rows["dots", 1][saved_column("steps")] == 0 and math.isnan(rows["grpo", 1][saved_column("steps")])
    assert rows["grpo", 1]["step_ratio"] == pytest.approx(2 / 3)


def test_timing_runs_count_for_time_alone():
    runs = {("grpo", 1): GRPO, ("dots", 1): DOTS}
    alone = {
        ("grpo", 1, "time"): run({0: 0.0, 4: 1.0}, seconds=1.0),
        ("dots", 1, "time"): run({0: 1.0, 4: 0.0}, seconds=0.5),
    }
    before, after = rows_of(runs)["dots", 1], rows_of(runs | alone)["dots", 1]
    changed = {name for name in before if before[name] == before[name] != after[name]}
    of_time = {saved_column("time", share, hold) for share in SHARES for hold in HOLDS}
    of_time |= {bound_of(name) for name in of_time} | {ratio_column(share, hold) for share in SHARES for hold in HOLDS}
    assert changed == of_time | {"step_seconds", "step_ratio", "step_source", "saved_per_step"}
    assert (after["step_source"], after["saved_per_step"]) == ("time", 0.5)
    assert after[saved_column("time", 100, "first")] == pytest.approx(1 - 8 / 30 * 0.5)


def test_the_time_of_a_step_of_a_single_round_has_no_interval_and_no_total_of_it():
    runs = {(method, seed): rows for method, rows in (("grpo", GRPO), ("dots", DOTS)) for seed in (1, 2)}
    alone = {
        ("grpo", 1, "time"): run({0: 0.0, 4: 1.0}, seconds=1.0),
        ("dots", 1, "time"): run({0: 1.0, 4: 0.0}, seconds=0.5, **{"timing_s/gen": 0.25}),
    }
    summary = measure(evidence(runs | alone), smoothing="none").summary
    of = summary[summary.method == "dots"].set_index("measure")
    for name in ("step_seconds", "step_ratio", "saved_per_step"):
        assert of["mean"][name] == 0.5 and math.isnan(of.low[name]) and math.isnan(of.high[name])
    total = of.loc[saved_column("time", 100, "first")]
    assert total["mean"] == pytest.approx(1 - 8 / 30 * 0.5)
    assert math.isnan(total.low) and math.isnan(total.high)
    assert (of.pairs["saved_per_step"], total.pairs, of.pairs["timing_s/gen"], of.pairs["difference"]) == (1, 1, 1, 0)
    runs["dots", 2] = run({0: 0.0, 10: 0.3, 20: 0.6})
    of = measure(evidence(runs | alone), smoothing="none").summary
    of = of[of.method == "dots"].set_index("measure")
    assert math.isnan(of.low[saved_column("time", 100, "first")]), "the seeds' spread is not all of its noise"
    assert of.low[saved_column("steps", 100, "first")] < of.high[saved_column("steps", 100, "first")]


def test_the_ratios_of_rounds_are_kept():
    seconds = {("grpo", 1): 1.0, ("dots", 1): 0.5, ("grpo", 3): 2.0, ("dots", 3): 1.5, ("dots", 4): 1.5}
    alone = {(*key, "time"): run({0: 0.0, 4: 1.0}, seconds=each) for key, each in seconds.items()}
    runs = {(method, seed): rows for method, rows in (("grpo", GRPO), ("dots", DOTS)) for seed in (1, 2)}
    rounds = measure(evidence(runs | alone)).rounds
    assert rounds.columns.tolist() == list(ROUND_COLUMNS)
    assert rounds.to_numpy().tolist() == [
        ["c", "grpo", 1, 1.0], ["c", "grpo", 3, 1.0], ["c", "dots", 1, 0.5], ["c", "dots", 3, 0.75],
    ]  # fmt: skip
    assert measure(evidence(runs)).rounds.empty  # accuracy runs, which stand in, are no rounds


def test_times_of_two_machines_are_told_once():
    runs = {(method, seed): rows for method, rows in (("grpo", GRPO), ("dots", DOTS)) for seed in (1, 2)}
    alone = {
        (method, 1, "time"): run({0: 0.0, 4: 1.0}, seconds=each) for method, each in (("grpo", 1.0), ("dots", 0.5))
    }
    known = evidence(runs | alone)
    known.runs.loc[(known.runs.method == "dots") & (known.runs.kind == "time"), "machine"] = "B"
    found = measure(known, smoothing="none", stand_in=False)
    assert math.isnan(found.by_seed.saved_per_step[found.by_seed.method == "dots"].iloc[0])
    assert found.rounds.method.tolist() == ["grpo"] and len(found.notes) == 1
    assert found.notes[0].startswith("c, round 1: times of a step are compared on one machine alone")


def test_without_timing_runs_accuracy_runs_may_be_forbidden_to_stand_in():
    by_seed = measure(evidence({("grpo", 1): GRPO, ("dots", 1): DOTS}), smoothing="none", stand_in=False).by_seed
    row = by_seed[by_seed.method == "dots"].iloc[0]
    assert row.step_source == "" and math.isnan(row.step_seconds) and math.isnan(row.saved_per_step)
    assert math.isnan(row[saved_column("time", 100, "first")])
    assert row[saved_column("steps", 100, "first")] == pytest.approx(1 - 8 / 30)


def test_all_tables_are_the_same_however_the_rows_are_ordered():
    runs = {("grpo", 1): GRPO, ("dots", 1): DOTS}
    one = evidence(runs)
    mixed = type(one)(one.steps.sample(frac=1.0, random_state=1), one.runs)
    pd.testing.assert_frame_equal(measure(mixed).by_seed, measure(one).by_seed)


def test_seconds_of_accuracy_runs_are_compared_only_where_these_may_stand_in():
    """Timing runs or not: accuracy runs may have run beside others, or on another machine."""
    alone = {(method, 1, "time"): run({0: 0.0, 4: 1.0}, seconds=1.0) for method in ("grpo", "dots")}
    names = [name("train_seconds", 100, "first") for name in (saved_column, lambda *of: bound_of(saved_column(*of)))]
    for runs in (alone, {}):
        known = evidence({("grpo", 1): GRPO, ("dots", 1): DOTS} | runs)
        row = measure(known, smoothing="none").by_seed.iloc[1]
        # DOTS takes 8 steps of 3 s, GRPO 30 of 2 s.
        assert [row[name] for name in names] == pytest.approx([0.6, 0.6])
        row = measure(known, smoothing="none", stand_in=False).by_seed.iloc[1]
        assert all(math.isnan(row[name]) for name in names)
        assert row[cost_column("train_seconds", 100, "first")] == pytest.approx(24)
        for column in ("machine", "commit"):
            other = Evidence(known.steps, known.runs.assign(**{column: known.runs.method}))
            row = measure(other, smoothing="none").by_seed.iloc[1]
            assert all(math.isnan(row[name]) for name in names)
