"""Savings, predictions, budgets and pass@k: what is drawn."""

import json

import numpy as np
import pytest

from tests.evidence.figures.conftest import MATH, by_seed_of, evidence, rows, summary_of
from verl_dots.evidence.evaluations import read_evaluations
from verl_dots.evidence.figures.budget import budget_figure
from verl_dots.evidence.figures.calibration import calibration_figure, rounds
from verl_dots.evidence.figures.pass_at import pass_at_figure
from verl_dots.evidence.figures.savings import savings_figures
from verl_dots.evidence.figures.style import looks
from verl_dots.evidence.measures import target_column

ORZ = "Tiny on ORZ"
NAN = np.nan


def texts(axis):
    return [text.get_text().strip() for text in axis.texts]


# --- savings ---------------------------------------------------------------------------------------------------------


def savings(*saved, methods=("grpo", "dots", "e3")):
    found = evidence(*[rows(method) for method in methods])
    return savings_figures(summary_of(*saved), by_seed_of(found), looks(methods), "trailing")["savings"]


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
    title, *told = figure.get_suptitle().split("\n")
    assert title == "Saved until the final accuracy of GRPO is there for the first time"
    assert "trailing means of 3 validations" in " ".join(told)


def test_what_is_not_reached_is_a_mark_and_what_is_not_recorded_is_words():
    figure = savings(
        (MATH, "dots", "steps", NAN, NAN, NAN, 3, 1), (MATH, "e3", "steps", NAN, NAN, NAN, 3, 0),
        (MATH, "dots", "time", NAN, NAN, NAN, 3, 1), (MATH, "e3", "time", 0.1, 0.1, 0.1, 1, 1),
        (MATH, "dots", "tokens", NAN, NAN, NAN, 3, 0),
    ).figure  # fmt: skip
    time, steps, tokens = figure.axes
    assert not steps.patches and texts(steps) == ["1 of 3", "0 of 3"]
    assert [line.get_marker() for line in steps.lines] == ["x", "x", "None"]  # the last is at 0 %
    assert texts(time) == ["1 of 3"] and len(time.patches) == 1
    assert [line.get_marker() for line in time.lines] == ["x", "None"]  # one seed has no interval
    assert texts(tokens) == ["1 of 3", "0 of 3"]  # which comes before that they were not recorded
    unrecorded = [(MATH, "dots", "steps", 0.2, 0.1, 0.3, 3, 3), (MATH, "dots", "tokens", NAN, NAN, NAN, 3, 0)]
    assert texts(savings(*unrecorded).figure.axes[2]) == ["not recorded"]
    untimed = savings((MATH, "dots", "steps", 0.2, 0.1, 0.3, 3, 3), (MATH, "dots", "time", NAN, NAN, NAN, 3, 0)).figure
    assert texts(untimed.axes[0]) == ["not measured"]
    no_gain = summary_of((MATH, "dots", "steps", NAN, NAN, NAN, 3, 2))
    no_gain.loc[1] = (MATH, "dots", target_column(100), NAN, NAN, NAN, 3, 2)  # of one seed there is nothing to reach
    figures = savings_figures(no_gain, by_seed_of(evidence(rows())), looks(("grpo", "dots")), "none")
    assert texts(figures["savings"].figure.axes[1]) == ["no gain of the baseline"]


def test_a_very_long_bar_is_cut_and_says_where_it_ends():
    (time, *_) = savings((MATH, "dots", "time", -2.5, -3.0, -2.0, 3, 3)).figure.axes
    assert time.get_xlim()[0] == -100 and texts(time) == ["to -300"]


def test_combinations_are_rows_and_the_summarys_own_is_the_last():
    of = [(name, "dots", "time", 0.1, 0.0, 0.2, 3, 3) for name in (MATH, ORZ, "mean of combinations")]
    figure = savings(*of).figure
    assert [texts(axis)[-1] for axis in figure.axes[::3]] == [MATH, ORZ, "mean of combinations"]
    assert len(figure.axes) == 9


def test_what_the_intervals_are_is_told_of_each_kind():
    of = {name: (name, "dots", "time", 0.1, 0.0, 0.2, 3, 3) for name in (MATH, "mean of combinations")}
    bootstrap = "of a combination a bootstrap over seeds, which of three is their range"
    t, pairs = "of the mean Student's t", "of total time with the noise of the pairs of timing runs, too"
    assert f"; intervals: {bootstrap}, {pairs}; " in savings(of[MATH]).text
    assert f"; intervals: {bootstrap}, {t}, {pairs}; " in savings(*of.values()).text
    found = evidence(rows("grpo"), rows("dots"))
    alone = summary_of(of["mean of combinations"]), by_seed_of(found, source="accuracy")
    assert f"; intervals: {t}; " in savings_figures(*alone, looks(("grpo", "dots")), "none")["savings"].text


def test_what_is_saved_nowhere_is_a_dot_that_can_be_seen():
    zero = [(MATH, "dots", what, 0.0, 0.0, 0.0, 3, 3) for what in ("time", "steps", "tokens")]
    drawn = savings(*zero)
    assert [axis.lines[0].get_marker() for axis in drawn.figure.axes] == ["o"] * 3
    assert "dots: less than 0.5 % saved or lost" in drawn.text


def test_more_combinations_than_a_page_has_room_for_are_several_figures_of_one_scale():
    methods = ["grpo", "dots", *(f"run_{number}" for number in range(9))]
    of = [(f"place {place}", method, "time", 0.1 * place, 0.0, 0.9, 15, 15) for place in range(6) for method in methods]
    found = savings_figures(summary_of(*of), by_seed_of(evidence(rows())), looks(methods), "none")
    assert list(found) == ["savings", "savings_2"]
    assert all(one.figure.get_size_inches()[1] < 9 for one in found.values())
    assert len({axis.get_xlim() for one in found.values() for axis in one.figure.axes}) == 1
    assert found["savings_2"].text.endswith("part 2 of 2, by combinations.")


def test_words_of_a_row_end_inside_of_their_panel():
    figure = savings(
        (MATH, "dots", "steps", NAN, NAN, NAN, 15, 13), (MATH, "dots", "time", NAN, NAN, NAN, 15, 0)
    ).figure
    figure.draw_without_rendering()
    for axis in figure.axes:
        assert all(text.get_window_extent().x1 < axis.get_window_extent().x1 for text in axis.texts)


def test_a_summary_without_another_method_has_no_savings():
    drawn = savings((MATH, "grpo", "time", 0.0, 0.0, 0.0, 3, 3))
    assert drawn.figure is None and "saved_time_100_first" in drawn.text


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
    assert {line.get_ydata()[0] for line in axis.lines} == {8}
    ends_of = [{y for _, y in band.get_paths()[0].vertices} for band in axis.collections]
    assert ends_of == [{4, 12}, {5, 10}]
    assert "line: median" in figure.get_suptitle() and axis.get_ylim()[0] == 0
    assert "darker: 10 % to 90 %" in figure.get_suptitle().replace("\n", " ")
    old = evidence(rows("e3", **ends))
    figure = budget_figure(old.steps, looks(["e3"])).figure
    assert len(figure.axes[0].collections) == 1 and not figure.axes[0].lines
    assert "no quantiles were recorded" in figure.get_suptitle()
    assert budget_figure(evidence(rows()).steps, looks(["grpo"])).figure is None


def test_quantiles_that_are_the_ends_are_no_band_of_their_own_and_the_caps_are_lines():
    """Of eight questions the one with the fewest is the 10 % quantile."""
    same = {
        f"budget__rollouts__{name}": lambda step, at=at: at
        for name, at in (
            ("min", 6.0),
            ("p10", 6.0),
            ("p50", 8.0),
            ("p90", 10.0),
            ("max", 10.0),
            ("least", 4.0),
            ("most", 12.0),
        )
    }
    figure = budget_figure(evidence(rows("e3", **same)).steps, looks(["e3"])).figure
    (axis,) = figure.axes
    assert len(axis.collections) == 1 and {line.get_ydata()[0] for line in axis.lines} == {4, 8, 12}
    told = figure.get_suptitle().replace("\n", " ")
    assert "darker" not in told and "thin lines: the fewest and the most that are allowed" in told


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
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[50, 60], [70, 90]])
    assert axis.get_xscale() == "log" and [label.get_text() for label in axis.get_xticklabels()] == ["1", "4"]
    assert "MATH500, 500 questions; bars: least to greatest of the seeds; points" in figure.get_suptitle().replace(
        "\n", " "
    )


def test_pass_at_k_of_one_seed_has_the_interval_of_its_questions(evaluated):
    one, three = {1: (0.5, 0.4, 0.7)}, {1: (0.6, 0.1, 0.9)}
    figure = evaluated(("grpo", 1, one, 500)).figure
    (bars,) = figure.axes[0].containers[0].lines[2]
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[40, 70]])
    assert "bars: 95 % over questions; points" in figure.get_suptitle().replace("\n", " ")
    both = evaluated(("dots", 1, one, 500), ("e3", 1, one, 500), ("e3", 2, three, 500)).figure
    told = both.get_suptitle().replace("\n", " ")
    assert "bars: least to greatest of the seeds, none of one seed alone; points" in told
    ends = [container.lines[2][0].get_segments()[0][:, 1] for container in both.axes[0].containers]
    np.testing.assert_allclose(ends, [[50, 50], [50, 60]])  # the bars of a figure have one meaning


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
