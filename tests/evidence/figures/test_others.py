"""Savings, predictions, budgets and pass@k: what is drawn."""

import json

import numpy as np
import pytest

from tests.evidence.figures.conftest import MATH, by_seed_of, evidence, rows, summary_of
from verl_dots.evidence.evaluations import read_evaluations
from verl_dots.evidence.figures.budget import budget_figure
from verl_dots.evidence.figures.calibration import calibration_figure, rounds
from verl_dots.evidence.figures.pass_at import pass_at_figure
from verl_dots.evidence.figures.savings import savings_figure
from verl_dots.evidence.figures.style import looks

ORZ = "Tiny on ORZ"
NAN = np.nan


def texts(axis):
    return [text.get_text().strip() for text in axis.texts]


# --- savings ---------------------------------------------------------------------------------------------------------


def savings(*saved, methods=("grpo", "dots", "e3")):
    found = evidence(*[rows(method) for method in methods])
    return savings_figure(summary_of(*saved), by_seed_of(found), looks(methods))


def test_savings_are_bars_with_intervals_on_one_scale():
    of = [(MATH, "dots", what, mean, mean - 0.1, mean + 0.2, 3, 3) for what, mean in
          (("time", 0.4), ("steps", 0.25), ("tokens", -0.5))]  # fmt: skip
    figure = savings(*of, (MATH, "grpo", "time", 0.0, 0.0, 0.0, 3, 3)).figure
    assert [axis.get_title() for axis in figure.axes] == ["total time", "steps", "generated tokens"]
    assert [axis.patches[0].get_width() for axis in figure.axes] == pytest.approx([40, 25, -50])
    assert [len(axis.patches) for axis in figure.axes] == [1, 1, 1]  # the baseline saves nothing
    assert figure.axes[0].lines[0].get_xdata() == pytest.approx([30, 60])
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["DOTS"]
    assert figure.get_suptitle().startswith("Saved on the way to the final accuracy of GRPO")


def test_what_is_not_reached_is_a_mark_and_what_is_not_recorded_is_words():
    figure = savings(
        (MATH, "dots", "steps", NAN, NAN, NAN, 3, 1), (MATH, "e3", "steps", NAN, NAN, NAN, 3, 0),
        (MATH, "dots", "time", NAN, NAN, NAN, 3, 1), (MATH, "e3", "time", 0.1, 0.1, 0.1, 1, 1),
        (MATH, "dots", "tokens", NAN, NAN, NAN, 3, 0),
    ).figure  # fmt: skip
    time, steps, tokens = figure.axes
    assert not steps.patches and texts(steps) == ["1 of 3 seeds", "not reached"]
    assert [line.get_marker() for line in steps.lines] == ["x", "x", "None"]  # the last is at 0 %
    assert texts(time) == ["1 of 3 seeds"] and len(time.patches) == 1
    assert [line.get_marker() for line in time.lines] == ["x", "None"]  # one seed has no interval
    assert texts(tokens) == ["not recorded", "not recorded"]  # of DOTS one got there, by its steps
    untimed = savings((MATH, "dots", "steps", 0.2, 0.1, 0.3, 3, 3), (MATH, "dots", "time", NAN, NAN, NAN, 3, 0)).figure
    assert texts(untimed.axes[0]) == ["not measured"]


def test_a_very_long_bar_is_cut_and_says_where_it_ends():
    (time, *_) = savings((MATH, "dots", "time", -2.5, -3.0, -2.0, 3, 3)).figure.axes
    assert time.get_xlim()[0] == -100 and texts(time) == ["to -300"]


def test_combinations_are_rows_and_the_summarys_own_is_the_last():
    of = [(name, "dots", "time", 0.1, 0.0, 0.2, 3, 3) for name in (MATH, ORZ, "mean of combinations")]
    figure = savings(*of).figure
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == [MATH, ORZ, "mean of combinations"]
    assert len(figure.axes) == 9


def test_a_summary_without_another_method_has_no_savings():
    drawn = savings((MATH, "grpo", "time", 0.0, 0.0, 0.0, 3, 3))
    assert drawn.figure is None and "saved_time_100_kept" in drawn.text


# --- predictions -----------------------------------------------------------------------------------------------------


def predicted(method="dots", seed=1, **more):
    """Two rounds of three steps, with means of the round so far; the second begins at step 4."""
    columns = {
        "selection__trusted": lambda step: 1.0 if step in (1, 4) else None,
        "selection__predicted_difficulty": lambda step: 0.1 * step if step else None,
        "selection__measured_difficulty": lambda step: 0.1 * step + 0.05 if step else None,
    }
    return rows(method, seed, **(columns | more))


def test_a_point_is_the_mean_of_a_whole_round():
    np.testing.assert_allclose(rounds(predicted()), [[0.3, 0.35], [0.6, 0.65]])
    of_mopps = rows("mopps", mopps__predicted_difficulty=lambda step: 0.5 if step in (2, 3) else None,
                    mopps__measured_difficulty=lambda step: 0.25 if step > 2 else None)  # fmt: skip
    np.testing.assert_allclose(rounds(of_mopps), [[0.5, 0.25]])
    assert len(rounds(rows())) == 0


def test_each_panel_says_how_many_rounds_its_points_are():
    found = evidence(rows(), predicted(), predicted(seed=2))
    figure = calibration_figure(found.steps, looks(found.runs["method"])).figure
    (axis,) = figure.axes
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [0.3, 0.6, 0.3, 0.6])
    assert axis.lines[0].get_linestyle() == "None"  # nothing joins them
    assert "rounds: DOTS 4" in figure.get_suptitle()
    found = evidence(predicted(), predicted(combination=ORZ), predicted(combination=ORZ, seed=2))
    figure = calibration_figure(found.steps, looks(found.runs["method"])).figure
    assert [axis.get_title() for axis in figure.axes] == [f"{MATH}\nrounds: DOTS 2", f"{ORZ}\nrounds: DOTS 4"]


def test_without_predictions_there_is_a_reason():
    found = evidence(rows())
    drawn = calibration_figure(found.steps, looks(["grpo"]))
    assert drawn.figure is None and "selection/predicted_difficulty or mopps/predicted_difficulty" in drawn.text


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_budgets_are_quantiles_and_of_old_runs_the_ends_alone():
    ends = {"budget__rollouts__min": lambda step: 4.0, "budget__rollouts__max": lambda step: 12.0}
    middle = {f"budget__rollouts__p{share}": lambda step, at=at: at for share, at in ((10, 5.0), (50, 8.0), (90, 10.0))}
    found = evidence(rows(), rows("e3", **ends, **middle))
    figure = budget_figure(found.steps, looks(found.runs["method"])).figure
    (axis,) = figure.axes
    assert sorted(line.get_ydata()[0] for line in axis.lines) == [4, 8, 12]
    (band,) = axis.collections
    assert {y for _, y in band.get_paths()[0].vertices} == {5, 10}
    assert "line: median" in figure.get_suptitle() and axis.get_ylim()[0] == 0
    old = evidence(rows("e3", **ends))
    figure = budget_figure(old.steps, looks(["e3"])).figure
    assert sorted(line.get_ydata()[0] for line in figure.axes[0].lines) == [4, 12] and not figure.axes[0].collections
    assert "no quantiles were recorded" in figure.get_suptitle()
    assert budget_figure(evidence(rows()).steps, looks(["grpo"])).figure is None


# --- pass@k ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def evaluated(tmp_path):
    """Evidence of runs whose checkpoints have evaluations: (method, seed, {k: (value, low, high)}, questions)."""

    def made(*runs, step=6):
        found = evidence(*[rows(method, seed) for method, seed, *_ in runs])
        for place, (method, seed, at, questions) in enumerate(runs):
            for number, shift in ((step, 0.0), (2, -0.5)):  # an older checkpoint, too
                folder = tmp_path / f"{method}-{seed}" / f"global_step_{number}" / "evaluation"
                folder.mkdir(parents=True)
                values = {f"pass@{k}": dict(zip(("value", "low", "high"), of, strict=True)) for k, of in at.items()}
                values["pass@1"] = values["pass@1"] | {"value": values["pass@1"]["value"] + shift}
                results = {"results": {"MATH500": {"questions": questions} | values}}
                (folder / "evaluation.json").write_text(json.dumps(results))
            found.runs.loc[place, "path"] = str(tmp_path / f"{method}-{seed}")
        return pass_at_figure(read_evaluations(found.runs), looks(found.runs["method"]))

    return made


def test_pass_at_k_is_the_mean_over_seeds_of_the_newest_checkpoints(evaluated):
    one, two = {1: (0.5, 0.4, 0.6), 4: (0.7, 0.6, 0.8)}, {1: (0.6, 0.4, 0.8), 4: (0.9, 0.8, 1.0), 8: (0.9, 0.8, 1.0)}
    figure = evaluated(("grpo", 1, one, 500), ("grpo", 2, two, 500), step=10).figure
    (axis,) = figure.axes
    line = axis.containers[0].lines[0]
    assert line.get_xdata().tolist() == [1, 4] and line.get_ydata() == pytest.approx([55, 80])
    (bars,) = axis.containers[0].lines[2]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[40, 70], [70, 90]])
    assert axis.get_xscale() == "log" and [label.get_text() for label in axis.get_xticklabels()] == ["1", "4"]
    assert "MATH500, 500 questions; bars: 95 % over questions" in figure.get_suptitle().replace("\n", " ")


def test_methods_that_were_evaluated_on_other_questions_are_left_out_and_named(evaluated):
    at = {1: (0.5, None, None)}
    drawn = evaluated(("grpo", 1, at, 500), ("dots", 1, at, 500), ("e3", 1, at, 30))
    assert [text.get_text() for text in drawn.figure.legends[0].get_texts()] == ["GRPO", "DOTS"]
    assert drawn.text.endswith(f"Evaluated on other data and left out: E3 ({MATH}).")
    first, second = (container.lines[0].get_xdata()[0] for container in drawn.figure.axes[0].containers)
    assert first < 1 < second and second / first == pytest.approx(1.025)


def test_without_evaluations_there_is_a_reason():
    drawn = pass_at_figure({}, looks(["grpo"]))
    assert drawn.figure is None and "verl_dots.evaluate" in drawn.text
