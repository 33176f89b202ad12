"""Figures: what is in them, and that a PNG comes out."""

import re

import numpy as np
import pytest
from matplotlib.image import imread

from tests.reporting.conftest import GRPO, compare
from verl_dots.reporting import drawing, figures


@pytest.fixture
def comparison(write_run):
    """Return a function that compares methods that all learn alike."""

    def build(names, seeds=1):
        return compare(*[write_run(name, seed, GRPO) for name in names for seed in range(seeds)], window=3)

    return build


def labels(panel):
    return panel.get_legend_handles_labels()[1]


def texts(figure):
    return [[text.get_text() for text in panel.texts] for panel in figure.axes]


@pytest.mark.parametrize(
    ("draw", "names"),
    [(figures.accuracy_figure, "ab"), (figures.training_figure, "ab"), (figures.training_figure, "abcde")],
)
def test_pngs_are_drawn(comparison, tmp_path, draw, names):
    figure = draw(comparison(names, seeds=2))
    drawing.save(figure, tmp_path / "figure.png")
    image = imread(tmp_path / "figure.png")
    assert image.shape[:2] == (810, 2250)  # 15 x 5.4 inches at 150 dots
    assert 0.02 < np.mean(image[..., :3].min(axis=2) < 0.95) < 0.5  # some ink, mostly white
    assert len({line.get_color() for line in figure.axes[0].lines}) == len(names)


def test_accuracy_panels(comparison):
    figure = figures.accuracy_figure(comparison(["dots", "grpo"], 3))
    costs = ["training step", "wall time with validation (seconds)", "generated tokens"]
    assert [panel.get_xlabel() for panel in figure.axes] == costs
    assert figure.axes[0].get_ylabel() == "Validation accuracy (%)"
    assert labels(figure.axes[0]) == ["grpo (3 seeds)", "dots (3 seeds)", "grpo's final accuracy"]
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(line.get_ydata(), [0, 10, 20, 40])  # smoothed, in %
    assert figure.axes[1].lines[0].get_xdata().tolist() == [1, 16, 21, 26]
    assert len(figure.legends) == 1


@pytest.mark.parametrize(("names", "seeds", "lines", "bands"), [("a", 1, 1, 0), ("ab", 3, 3, 2), ("abcde", 2, 6, 0)])
def test_methods_of_several_seeds_have_bands_unless_they_are_many(comparison, names, seeds, lines, bands):
    panel = figures.accuracy_figure(comparison(names, seeds)).axes[0]
    assert (len(panel.lines), len(panel.collections)) == (lines, bands)  # the target is a line where there are several


def test_no_two_of_many_methods_look_the_same():
    looks = [drawing.look(index, f"m{index}", "m0") for index in range(25)]
    assert len({tuple(look.values()) for look in looks}) == 25


def test_names_are_drawn_as_they_are(comparison, tmp_path):
    figure = figures.accuracy_figure(comparison(["_hidden", "a_$x_and_$y", "b" * 100]))
    names = [" _hidden", r"a_\$x_and_\$y", "b" * 30 + "..." + "b" * 30]
    assert labels(figure.axes[0]) == [*names, " _hidden's final accuracy"]
    drawing.save(figure, tmp_path / "figure.png")


def test_unfinished_runs_are_marked(write_run):
    folders = [write_run("grpo", seed, GRPO, finished=seed == 0) for seed in (0, 1)]
    found = compare(*folders, write_run("dots", 0, GRPO, finished=False))
    assert [drawing.name(method) for method in found.methods] == ["grpo (2 seeds, 1 unfinished)", "dots (unfinished)"]


@pytest.mark.parametrize(
    ("draw", "key"), [(figures.accuracy_figure, "wall_seconds"), (figures.training_figure, "actor/entropy")]
)
def test_what_some_or_all_methods_did_not_record_is_named(write_run, draw, key):
    grpo, lacking = (write_run("grpo", seed, GRPO, without=[key] * seed) for seed in (0, 1))
    dots = write_run("dots_rr", 0, GRPO, without=[key])
    assert texts(draw(compare(grpo, dots))) == [[], ["not recorded: dots_rr"], []]
    assert texts(draw(compare(lacking, dots)))[1] == [f"{key}\nwas not recorded"]


def test_training_panels(comparison):
    figure = figures.training_figure(comparison(["grpo"]))
    assert [panel.get_title() for panel in figure.axes] == ["Training reward", "Policy entropy", "Response length"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_the_entropy_is_that_of_the_rollouts_where_all_methods_have_it(write_run):
    def metrics(step):
        return {"training/sampled_entropy": 0.1 * step}

    grpo = write_run("grpo", 0, GRPO, metrics=metrics)
    both = figures.training_figure(
        compare(grpo, write_run("dots_rr", 0, GRPO, metrics=metrics, without=["actor/entropy"]))
    )
    assert both.axes[1].get_title() == "Entropy of the rollouts" and texts(both) == [[], [], []]
    np.testing.assert_allclose(both.axes[1].lines[-1].get_ydata(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    one = figures.training_figure(compare(grpo, write_run("dots", 0, GRPO)))
    assert one.axes[1].get_title() == "Policy entropy"


@pytest.mark.parametrize("draw", [figures.training_figure, figures.effective_figure, figures.replay_figure])
def test_a_figure_names_how_its_lines_are_smoothed(write_run, draw):
    told = {"training/effective_groups": 0.5, "replay/share": 0.5}
    figure = draw(compare(write_run("grpo", 0, GRPO, metrics=lambda step: told)))
    assert re.search("trailing mean over a (tenth|twentieth) of the steps", figure.get_suptitle())


def test_time_units():
    assert drawing.time_unit(90) == (1.0, "seconds")
    assert drawing.time_unit(3600) == (60.0, "minutes")
    assert drawing.time_unit(90000) == (3600.0, "hours")


@pytest.mark.parametrize("draw", [figures.effective_figure, figures.replay_figure, figures.controller_figure])
def test_what_nobody_recorded_has_no_figure(comparison, draw):
    assert draw(comparison(["grpo"])) is None


def test_effective_groups_are_drawn_against_all_three_costs(write_run):
    folder = write_run("grpo", 0, GRPO, metrics=lambda step: {"training/effective_groups": 0.1 * step})
    steps, seconds, tokens = (panel.lines[0] for panel in figures.effective_figure(compare(folder)).axes)
    np.testing.assert_allclose(steps.get_ydata(), [10, 20, 30, 40, 50, 60])
    assert tokens.get_xdata().tolist() == [100, 200, 300, 400, 500, 600]
    assert seconds.get_xdata()[0] == pytest.approx(13.0)


def test_a_seed_whose_cost_is_not_known_still_counts_against_steps(write_run):
    def told(share, known):
        return lambda step: {"training/effective_groups": share} | ({} if step < known else {"generated_tokens": None})

    grpo = write_run("grpo", 1, GRPO, metrics=told(0.2, 99)), write_run("grpo", 2, GRPO, metrics=told(0.8, 3))
    dots = write_run("dots", 1, GRPO, metrics=told(0.9, 1))
    steps, _, tokens = figures.effective_figure(compare(*grpo, dots)).axes
    np.testing.assert_allclose(steps.lines[0].get_ydata(), [50] * 6)
    np.testing.assert_allclose(tokens.lines[0].get_xdata(), [100, 200, *[np.nan] * 4])
    assert len(steps.lines) == 2 and len(tokens.lines) == 1
    assert "not recorded: dots" in tokens.texts[0].get_text().lower()


def test_replay_is_drawn_by_step_and_by_age(write_run):
    def metrics(step):
        row = {"replay/share": 0.5, "loss/fresh/clip_share": 0.0, "loss/replayed/clip_share": 0.03}
        row["loss/age_1/ratio/log_difference"] = 0.01 * step
        return row | ({"loss/age_2-3/ratio/log_difference": 0.07} if step == 4 else {})

    folders = [write_run("grpo", 0, GRPO), write_run("dots_rr", 0, GRPO, metrics=metrics)]
    share, moved, clipped = figures.replay_figure(compare(*folders)).axes
    np.testing.assert_allclose(share.lines[0].get_ydata()[1:], 50)  # nothing before training
    assert list(moved.lines[0].get_xdata()) == ["1", "2-3"]
    np.testing.assert_allclose(moved.lines[0].get_ydata(), [0.035, 0.07])
    assert moved.lines[0].get_linestyle() == "None"  # the ages are bins of unequal width
    assert [line.get_ydata()[1] for line in clipped.lines] == [0.0, 3.0]
    assert "Replayed" in share.get_title()


def test_the_controller_is_drawn_beside_the_methods_without_one(write_run):
    def metrics(step):
        return {"temperature/temperature": 1 + 0.1 * step, "temperature/target": 0.5}

    folders = [write_run("grpo", 0, GRPO), write_run("e3", 0, GRPO, metrics=metrics)]
    entropy, temperature = figures.controller_figure(compare(*folders)).axes
    assert [line.get_label() for line in entropy.lines] == ["grpo", "e3", "e3's target"]
    np.testing.assert_allclose(entropy.lines[1].get_ydata(), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6])
    np.testing.assert_allclose(entropy.lines[2].get_ydata(), 0.5)
    (line,) = temperature.lines
    np.testing.assert_allclose(line.get_ydata(), [1.1, 1.2, 1.3, 1.4, 1.5, 1.6])


def test_a_temperature_that_only_one_seed_told_is_drawn_without_a_target(write_run):
    told = write_run("e3", 1, GRPO, metrics=lambda step: {"temperature/temperature": 1.5})
    entropy, temperature = figures.controller_figure(compare(write_run("e3", 0, GRPO), told)).axes
    assert [line.get_label() for line in entropy.lines] == ["e3 (2 seeds)"]
    np.testing.assert_allclose(temperature.lines[0].get_ydata(), 1.5)


def test_the_controllers_entropy_is_drawn_where_no_forward_pass_has_measured_it(write_run):
    def metrics(step):
        return {"temperature/temperature": 1.0, "temperature/entropy": 0.25}

    folder = write_run("all", 0, GRPO, metrics=metrics, without=["actor/entropy"])
    entropy, _ = figures.controller_figure(compare(folder)).axes
    np.testing.assert_allclose(entropy.lines[0].get_ydata(), 0.25)
