"""What runs have for a column: by hand from curves, validations and evaluations."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.evidence import made
from tests.evidence.hand import evidence, run
from verl_dots.evidence import saved
from verl_dots.evidence.cells import Figure, Missing, Why
from verl_dots.evidence.evaluations import Evaluation, alike, load_evaluations, read_evaluations, save_evaluations
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.measuring import Measured, measure
from verl_dots.evidence.merging import merged
from verl_dots.evidence.ours import Asked, Ours
from verl_dots.evidence.overview import overview
from verl_dots.evidence.records import EvidenceError
from verl_dots.evidence.summary_cells import mean_figure

# Trailing means: 0, 0.25, 0.36667, so 0.27333 after 60 % of the steps, which are 12.
REFERENCE = {0: 0.0, 10: 0.5, 20: 0.6}
LATER = {0: 0.0, 10: 0.4, 20: 0.64}  # 0, 0.2, 0.34667: 0.27333 after 15
NEVER = {0: 0.0, 10: 0.2, 20: 0.3}  # 0, 0.1, 0.16667
SECONDS = {"step_seconds": (2.0, 1.0, 3.0, 3, 3), "steps": (30.0, 30.0, 30.0, 3, 3)}


def ours(curves, figures=None, source="time", evaluations=None, extra=None) -> Ours:
    keys = {key[:2] for key in curves}
    summary = made.summary({key: (figures or {}).get(key, {}) for key in keys})
    measured = Measured(made.by_seed(source, *curves), summary)
    return Ours(made.evidence(curves), measured, evaluations or {}, extra or {})


def asked(method: str, combination: str = "cpu") -> Asked:
    return Asked(combination, method, "adarft", 0.6)


def test_extra_steps_by_hand():
    known = ours({("cpu", "adarft", 1): REFERENCE, ("cpu", "grpo", 1): LATER}, {("cpu", "grpo"): SECONDS})
    for name, value in (("extra_steps", 3.0), ("extra_steps_share", 25.0), ("extra_seconds", 6.0)):
        assert known.cell(name, asked("grpo")).value == pytest.approx(value)
        assert known.cell(name, asked("adarft")) == Figure(0.0)


def test_extra_steps_are_below_zero_where_the_baseline_was_first():
    known = ours({("cpu", "adarft", 1): LATER, ("cpu", "grpo", 1): REFERENCE})
    # after 12 steps 0.2 + 0.2 * 0.14667 = 0.22933, which the other has after 9.17333
    assert known.cell("extra_steps", asked("grpo")).value == pytest.approx(-2.82667, abs=1e-5)


def test_extra_steps_of_curves_as_measured():
    known = ours({("cpu", "adarft", 1): REFERENCE, ("cpu", "grpo", 1): {0: 0.0, 10: 0.44, 20: 0.54}})
    # 0.52 after 12 steps, which the other has after 18
    as_measured = replace(known, measured=replace(known.measured, smoothing="none"))
    found = as_measured.cell("extra_steps", asked("grpo"))
    assert found.value == pytest.approx(6.0)


def test_extra_steps_are_a_mean_over_seeds_only_if_all_get_there():
    curves = {("cpu", "adarft", seed): REFERENCE for seed in (1, 2)} | {("cpu", "grpo", 1): LATER}
    both = ours(curves | {("cpu", "grpo", 2): LATER}).cell("extra_steps", asked("grpo"))
    assert (both.value, both.low, both.seeds) == (pytest.approx(3.0), pytest.approx(3.0), 2)
    one = ours(curves | {("cpu", "grpo", 2): NEVER}).cell("extra_steps", asked("grpo"))
    assert one == Missing(Why.NOT_REACHED, "1 of 2 seeds")


def test_extra_steps_need_the_reference_and_the_run():
    known = ours({("cpu", "grpo", 1): LATER})
    assert known.cell("extra_steps", asked("grpo")) == Missing(Why.NOT_MEASURED, "no seed of adarft")
    assert known.cell("extra_steps", asked("adarft")) == Missing(Why.NOT_RUN)
    assert known.cell("extra_seconds", asked("ppo")) == Missing(Why.NOT_RUN)


def test_extra_seconds_need_the_time_of_a_step():
    known = ours({("cpu", "adarft", 1): REFERENCE, ("cpu", "grpo", 1): LATER})
    assert known.cell("extra_seconds", asked("grpo")) == Missing(Why.NOT_MEASURED)


@pytest.mark.parametrize(("measure", "value"), [("hours", 60 / 3600), ("minutes", 1.0), ("seconds_per_step", 2.0)])
def test_time_is_steps_times_seconds_of_a_step(measure, value):
    figures = {("cpu", "dash"): SECONDS}
    found = ours({("cpu", "dash", 1): LATER}, figures).cell(measure, asked("dash"))
    assert (found.value, found.low, found.high) == pytest.approx((value, value / 2, 1.5 * value))
    assert found.remark == ""
    other = ours({("cpu", "dash", 1): LATER}, figures, source="accuracy").cell(measure, asked("dash"))
    assert other.remark == "of accuracy runs"


def test_time_without_seconds_is_not_measured_and_rho_without_a_value_not_recorded():
    known = ours({("cpu", "dash", 1): LATER}, {("cpu", "dash"): {"steps": (30.0, 30.0, 30.0, 3, 3)}})
    assert known.cell("hours", asked("dash")) == Missing(Why.NOT_MEASURED)
    assert known.cell("rho", asked("dash")) == Missing(Why.NOT_RECORDED)
    assert known.cell("rho", asked("dots")) == Missing(Why.NOT_RUN)


def test_a_figure_measured_apart_comes_first():
    rho = Figure(0.25, spread=0.1)
    known = ours({("cpu", "dots", 1): LATER}, extra={("cpu", "dots", "rho_off_the_shelf"): rho})
    assert known.cell("rho_off_the_shelf", asked("dots")) is rho
    assert ours({("cpu", "dots", 1): LATER}).cell("rho_off_the_shelf", asked("dots")) == Missing(Why.NOT_MEASURED)


def test_unknown_names_are_refused():
    known = ours({("cpu", "dots", 1): LATER})
    with pytest.raises(KeyError, match="no measure is named 'speed'; there are steps_saved"):
        known.cell("speed", asked("dots"))
    known.summary.measure = known.summary.measure.replace("rho", "r")
    with pytest.raises(KeyError, match="the summary has no measure 'rho'; it has bound_rollouts_100_first"):
        known.cell("rho", asked("dots"))


def validated(curves, values) -> Ours:
    """Runs whose rows hold validations on MATH500, one a row."""
    known = ours(curves)
    known.evidence.steps["val-core/math500/acc/mean@8"] = values
    return known


def test_accuracy_on_a_benchmark_is_the_last_validation():
    known = validated({("cpu", "grpo", 1): {0: 0.1, 10: 0.2, 20: np.nan}}, [0.3, 0.5, np.nan])
    assert known.cell("accuracy/math500", asked("grpo")) == Figure(50.0, seeds=1)
    assert known.cell("accuracy/gsm8k", asked("grpo")) == Missing(Why.NOT_MEASURED)
    assert known.cell("pass@16/math500", asked("grpo")) == Missing(Why.NOT_MEASURED)
    assert known.cell("accuracy/math500", asked("dots")) == Missing(Why.NOT_RUN)


def test_a_benchmark_counts_with_the_samples_that_its_runs_have():
    """Another combination was validated with 16 samples."""
    known = validated({("cpu", "grpo", 1): {0: 0.1, 10: 0.2}}, [0.3, 0.5])
    known.evidence.steps["val-core/math500/acc/mean@16"] = [np.nan, np.nan]
    assert known.cell("accuracy/math500", asked("grpo")) == Figure(50.0, seeds=1)
    known.evidence.steps["val-core/math500/acc/mean@16"] = [0.2, 0.4]
    assert known.cell("accuracy/math500", asked("grpo")) == Figure(40.0, seeds=1)


def test_the_untrained_models_accuracy_is_that_at_step_0():
    """Another method was not validated then: of what both share the first is another."""
    known = ours({("cpu", "grpo", 1): {0: 0.2, 3: 0.4, 6: 0.5}, ("cpu", "dash", 1): {3: 0.4, 6: 0.5}})
    assert known.cell("final_accuracy", asked("base")) == Figure(20.0, seeds=1)
    late = ours({("cpu", "grpo", 1): {3: 0.4, 6: 0.5}})
    assert late.cell("final_accuracy", asked("base")) == Missing(Why.NOT_MEASURED)


def test_a_run_that_is_compared_with_none_was_run():
    runs = {("grpo", 4): run({0: 0.2, 10: 0.4}), ("dots", 1): run({0: 0.2, 10: 0.4})}
    known = evidence(runs)
    found = Ours(known, measure(known, smoothing="none"))
    why = Missing(Why.NOT_MEASURED, "no seed of grpo")
    assert found.cell("final_accuracy", Asked("c", "dots")) == why == found.reached(Asked("c", "dots"))
    assert found.cell("final_accuracy", Asked("c", "e3")) == Missing(Why.NOT_RUN) == found.reached(Asked("c", "e3"))


def test_another_baseline_is_the_baseline_of_all_cells():
    known = evidence({("grpo", 1): run({0: 0.2, 10: 0.5}), ("dots", 1): run({0: 0.2, 10: 0.6})})
    found = Ours(known, measure(known, baseline="dots", smoothing="none"))
    assert found.cell("difference", Asked("c", "dots")) == "baseline" == found.cell("steps_saved", Asked("c", "dots"))
    assert found.cell("difference", Asked("c", "grpo")).value == pytest.approx(-10.0)
    table = overview(found, {})
    assert "above DOTS" in [column.heading for column in table.columns]


def test_before_training_is_the_baselines_first_validation():
    known = validated(
        {("cpu", "grpo", 1): {0: 0.1, 10: 0.2}, ("cpu", "dash", 1): {0: 0.1, 10: 0.2}}, [0.3, 0.5, 0.4, 0.6]
    )
    assert known.cell("accuracy/math500", asked("base")) == Figure(30.0, seeds=1)
    assert known.cell("hours", asked("base")) == Missing(Why.NOT_MEASURED)
    assert known.cell("hours", asked("base", "other")) == Missing(Why.NOT_RUN)
    assert known.cell("accuracy/math500", asked("base", "other")) == Missing(Why.NOT_RUN)


def evaluated(folder, seed, step, results) -> None:
    file = folder / f"seed{seed}" / f"global_step_{step}" / "evaluation" / "evaluation.json"
    file.parent.mkdir(parents=True)
    shares = {
        label: {"questions": 30} | {name: {"value": value} for name, value in of.items()}
        for label, of in results.items()
    }
    file.write_text(json.dumps({"checkpoint": "c", "results": shares, "settings": {}}))


def runs_in(folder, seeds) -> Ours:
    known = ours({("cpu", "e3", seed): LATER for seed in seeds})
    known.evidence.runs["path"] = [str(folder / f"seed{seed}") for seed in seeds]
    return Ours(known.evidence, known.measured, read_evaluations(known.evidence.runs))


def test_pass_at_k_of_the_newest_evaluation(tmp_path):
    for seed, value in ((1, 0.5), (2, 0.7)):
        evaluated(tmp_path, seed, 9, {"aime24": {"pass@16": 0.0}})
        evaluated(tmp_path, seed, 10, {"aime24": {"pass@1": 0.2, "pass@16": value}, "average": {"pass@16": 0.9}})
    known = runs_in(tmp_path, (1, 2))
    found = known.cell("pass@16/aime24", asked("e3"))
    assert (found.value, found.low, found.high) == pytest.approx((60.0, 50.0, 70.0))
    assert known.cell("accuracy/aime24", asked("e3")).value == pytest.approx(20.0)
    assert known.cell("pass@16/average", asked("e3")).value == pytest.approx(90.0)
    assert known.cell("pass@8/aime24", asked("e3")) == Missing(Why.NOT_MEASURED)


def test_pass_at_k_needs_the_evaluation_of_every_seed(tmp_path):
    evaluated(tmp_path, 1, 10, {"aime24": {"pass@16": 0.5}})
    assert runs_in(tmp_path, (1, 2)).cell("pass@16/aime24", asked("e3")) == Missing(Why.NOT_MEASURED)


def test_a_single_data_set_is_its_own_average(tmp_path):
    evaluated(tmp_path, 1, 10, {"arithmetic": {"pass@16": 0.5}})
    assert runs_in(tmp_path, (1,)).cell("pass@16/average", asked("e3")) == Figure(50.0, seeds=1)


def test_evaluations_as_a_file(tmp_path):
    evaluated(tmp_path, 1, 10, {"aime24": {"pass@16": 1 / 3}})
    found = dict(runs_in(tmp_path, (1,)).evaluations)
    save_evaluations(found, tmp_path / "evaluations.json")
    assert load_evaluations(tmp_path / "evaluations.json") == found
    rows = json.loads((tmp_path / "evaluations.json").read_text())
    for wrong in ([1], [rows[0] | {"seed": "1"}], [rows[0] | {"results": {}}], [rows[0] | {"results": {"a": 1}}]):
        (tmp_path / "wrong.json").write_text(json.dumps(wrong))
        with pytest.raises(EvidenceError, match="wrong.json does not hold what save_evaluations writes"):
            load_evaluations(tmp_path / "wrong.json")


def test_evaluations_are_kept_with_the_runs_and_a_run_that_was_made_again_has_lost_its_own(tmp_path):
    evaluated(tmp_path, 1, 10, {"aime24": {"pass@16": 0.5}})
    of_runs = runs_in(tmp_path, (1,))
    kept = replace(of_runs.evidence, evaluations=of_runs.evaluations)
    saved.save(kept, tmp_path / "kept")
    assert saved.load(tmp_path / "kept").evaluations == of_runs.evaluations != {}
    other, again = (made.evidence({("cpu", "e3", seed): LATER}) for seed in (2, 1))
    assert merged(kept, other).evaluations == of_runs.evaluations and merged(kept, again).evaluations == {}
    assert merged(other, kept).evaluations == of_runs.evaluations
    saved.save(again, tmp_path / "kept")
    assert not (tmp_path / "kept/evaluations.json").exists()


def test_a_run_without_a_folder_has_no_evaluation():
    assert read_evaluations(made.evidence({("cpu", "e3", 1): LATER}).runs) == {}


def test_the_interval_over_seeds_is_the_range_of_three():
    assert mean_figure([1.0, 4.0, 2.5]) == Figure(2.5, 1.0, 4.0, seeds=3)
    assert mean_figure([4.0]) == Figure(4.0, seeds=1)


def of_checkpoint(folder, seed, step=10, rollouts=16, questions=30, **settings):
    """An evaluation.json with its settings."""
    evaluated(folder, seed, step, {"aime24": {"pass@16": 0.5}})
    file = folder / f"seed{seed}" / f"global_step_{step}" / "evaluation" / "evaluation.json"
    content = json.loads(file.read_text())
    content["results"]["aime24"] |= {"rollouts": rollouts, "questions": questions}
    file.write_text(json.dumps(content | {"settings": {"temperature": 1.0, "top_p": 1.0, "engine": "e"} | settings}))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"step": 20}, "step: 10 (e3 1, e3 2), 20 (e3 3)"),
        ({"rollouts": 8}, "rollouts on aime24: 16 (e3 1, e3 2), 8 (e3 3)"),
        ({"temperature": 0.6}, "temperature: 1 (e3 1, e3 2), 0.6 (e3 3)"),
    ],
)
def test_evaluations_that_were_made_differently_do_not_count(tmp_path, other, told):
    for seed in (1, 2, 3):
        of_checkpoint(tmp_path, seed, **(other if seed == 3 else {}))
    found = dict(runs_in(tmp_path, (1, 2, 3)).evaluations)
    kept, notes = alike(found)
    assert kept == {} and notes == [
        f"cpu: no evaluation counts, for they differ in {told}. "
        "Evaluate all runs after the same step, with the same settings."
    ]
    del found["cpu", "e3", 3]
    assert alike(found) == (found, [])
    save_evaluations(found, tmp_path / "evaluations.json")
    assert load_evaluations(tmp_path / "evaluations.json") == found
    assert found["cpu", "e3", 1].made == {"step": 10, "temperature": 1.0, "top_p": 1.0}


def test_what_is_not_known_of_an_evaluation_is_not_compared(tmp_path):
    of_checkpoint(tmp_path, 1)
    known = dict(runs_in(tmp_path, (1,)).evaluations)
    both = known | {
        ("cpu", "e3", 2): Evaluation(known["cpu", "e3", 1].results),
        ("gpu", "e3", 1): Evaluation({}, {"step": 9}),
    }
    assert alike(both) == (both, [])


def test_kept_evaluations_and_new_ones_of_another_step_do_not_count(tmp_path):
    of_checkpoint(tmp_path, 1), of_checkpoint(tmp_path, 2, step=20)
    kept, new = (
        replace(one.evidence, evaluations=one.evaluations) for one in (runs_in(tmp_path, (seed,)) for seed in (1, 2))
    )
    both = merged(kept, new)
    assert both.evaluations == {} and "step: 10 (e3 1), 20 (e3 2)" in both.notes[-1]


def test_seeds_that_were_evaluated_on_other_questions_have_no_mean(tmp_path):
    of_checkpoint(tmp_path, 1), of_checkpoint(tmp_path, 2, questions=20)
    assert runs_in(tmp_path, (1, 2)).cell("pass@16/aime24", asked("e3")) == Missing(Why.NOT_MEASURED)


def test_extra_steps_need_the_same_validations():
    often = {0: 0.0, 5: 0.2, 10: 0.4, 15: 0.52, 20: 0.64}
    known = ours({("cpu", "adarft", 1): REFERENCE, ("cpu", "grpo", 1): often})
    assert known.cell("extra_steps", asked("grpo")) == Missing(Why.NOT_MEASURED, "validated at other steps than adarft")


@pytest.mark.parametrize(("apart", "remark"), [((), "of accuracy runs"), (("c",), "")])
def test_the_mean_of_combinations_says_of_which_runs_its_seconds_are(apart, remark):
    """Combination c was not timed alone; where it stands apart, the mean is not of it."""
    known = ours({("a", "dash", 1): LATER}, {("a", "dash"): {}})
    sources = pd.concat([made.by_seed("time", ("a", "dash", 1)), made.by_seed("accuracy", ("c", "dash", 1))])
    summary = made.summary({(OVERALL, "dash"): SECONDS | {"saved_per_step": (0.2, 0.1, 0.3, 3, 3)}})
    mean = replace(known, measured=Measured(sources, summary, apart=apart))
    for name in ("seconds_per_step", "seconds_per_step_saved"):
        assert mean.cell(name, asked("dash", OVERALL)).remark == remark
