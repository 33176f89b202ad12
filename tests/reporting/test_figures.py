"""Figures: what is in them, and that a PNG comes out."""

import json

import numpy as np
import pytest
from matplotlib.image import imread

from tests.reporting.conftest import load_run
from verl_dots.reporting import drawing, figures, summary, tables
from verl_dots.reporting.runs import group_by_name

GRPO = {0: 0.0, 2: 0.2, 4: 0.4, 6: 0.6}


@pytest.fixture
def compare(write_run):
    def build(methods, seeds, **options):
        folders = [write_run(name, seed, GRPO, 2.0, 6, **options) for name in methods for seed in range(seeds)]
        return summary.compare(group_by_name([load_run(folder) for folder in folders]), window=3)

    return build


def labels(panel):
    return panel.get_legend_handles_labels()[1]


@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (2, 3), (8, 1)])
def test_pngs_are_drawn(compare, tmp_path, count, seeds):
    comparison = compare(["grpo", *(f"method-{index}" for index in range(1, count))], seeds)
    for draw in (figures.accuracy_figure, figures.training_figure):
        figure = draw(comparison)
        drawing.save(figure, tmp_path / "figure.png")
        image = imread(tmp_path / "figure.png")
        assert image.shape[:2] == (810, 2250)  # 15 x 5.4 inches at 150 dots
        assert 0.02 < np.mean(image[..., :3].min(axis=2) < 0.95) < 0.5  # some ink, mostly white
        assert len({line.get_color() for line in figure.axes[0].lines}) == count


def test_accuracy_panels(compare):
    figure = figures.accuracy_figure(compare(["dots", "grpo"], 3))
    assert [panel.get_xlabel() for panel in figure.axes] == [
        "training step", "wall time with validation (seconds)", "generated tokens",
    ]  # fmt: skip
    assert figure.axes[0].get_ylabel() == "Validation accuracy (%)"
    assert labels(figure.axes[0]) == ["grpo (3 seeds)", "dots (3 seeds)", "grpo's final accuracy"]
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(line.get_ydata(), [0, 10, 20, 40])  # smoothed, in %
    assert figure.axes[1].lines[0].get_xdata().tolist() == [1, 16, 21, 26]
    assert len(figure.axes[0].collections) == 2  # a band for each
    assert len(figure.legends) == 1


def test_no_two_of_many_methods_look_the_same():
    looks = [drawing.look(index, f"m{index}", "m0") for index in range(25)]
    assert len({tuple(look.values()) for look in looks}) == 25


def test_names_are_drawn_as_they_are(compare, tmp_path):
    names = ["_hidden", "a_$x_and_$y", "b" * 100]
    figure = figures.accuracy_figure(compare(names, 1))
    assert labels(figure.axes[0]) == [
        " _hidden", r"a_\$x_and_\$y", "b" * 30 + "..." + "b" * 30, " _hidden's final accuracy",
    ]  # fmt: skip
    drawing.save(figure, tmp_path / "figure.png")


def test_unfinished_runs_are_marked(write_run):
    folders = [write_run("grpo", seed, GRPO, 2.0, 6, finished=seed == 0) for seed in (0, 1)]
    folders.append(write_run("dots", 0, GRPO, 2.0, 6, finished=False))
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    assert [drawing.name(method) for method in found.methods] == ["grpo (2 seeds, 1 unfinished)", "dots (unfinished)"]


def test_a_cost_that_was_not_recorded_is_named(write_run, edit_rows, tmp_path):
    folders = [write_run("grpo", 0, GRPO, 2.0, 6), write_run("dots", 0, GRPO, 1.0, 6)]
    edit_rows(folders[1], lambda row: row.pop("wall_seconds"))
    figure = figures.accuracy_figure(summary.compare(group_by_name([load_run(folder) for folder in folders])))
    assert [[text.get_text() for text in panel.texts] for panel in figure.axes] == [[], ["not recorded: dots"], []]
    edit_rows(folders[0], lambda row: row.pop("wall_seconds"))
    figure = figures.accuracy_figure(summary.compare(group_by_name([load_run(folder) for folder in folders])))
    assert [text.get_text() for text in figure.axes[1].texts] == ["wall_seconds\nwas not recorded"]


def test_one_run_has_neither_band_nor_target(compare):
    panel = figures.accuracy_figure(compare(["grpo"], 1)).axes[0]
    assert (len(panel.lines), len(panel.collections)) == (1, 0)


def test_many_methods_have_no_bands(compare):
    panel = figures.accuracy_figure(compare(["a", "b", "c", "d", "e"], 2)).axes[0]
    assert len(panel.collections) == 0


def test_training_panels(compare):
    figure = figures.training_figure(compare(["grpo"], 1))
    assert [panel.get_title() for panel in figure.axes] == ["Training reward", "Policy entropy", "Response length"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_a_metric_that_was_not_recorded_is_named(compare, tmp_path):
    comparison = compare(["grpo"], 1)
    run = comparison.methods[0].runs[0]
    run.rows.drop(columns="actor/entropy", inplace=True)
    figure = figures.training_figure(comparison)
    assert [text.get_text() for text in figure.axes[1].texts] == ["actor/entropy\nwas not recorded"]


def test_methods_without_a_metric_that_others_have_are_named(compare):
    comparison = compare(["grpo", "dots_rr"], 1)
    [lacking] = [method for method in comparison.methods if method.name == "dots_rr"]
    lacking.runs[0].rows.drop(columns="actor/entropy", inplace=True)
    texts = [[text.get_text() for text in panel.texts] for panel in figures.training_figure(comparison).axes]
    assert texts == [[], ["not recorded: dots_rr"], []]


def test_time_units():
    assert drawing.time_unit(90) == (1.0, "seconds")
    assert drawing.time_unit(3600) == (60.0, "minutes")
    assert drawing.time_unit(90000) == (3600.0, "hours")


def test_effective_groups_are_drawn_against_all_three_costs(write_run, tmp_path):
    assert (
        figures.effective_figure(summary.compare(group_by_name([load_run(write_run("plain", 0, GRPO, 2.0, 6))])))
        is None
    )
    folder = write_run("grpo", 0, GRPO, 2.0, 6)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows[1:]:
        row["training/effective_groups"] = 0.1 * row["step"]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    comparison = summary.compare(group_by_name([load_run(folder)]))
    assert comparison.methods[0].effective_groups == pytest.approx(0.35)
    assert "| effective groups (%) |" in tables.overview_table(comparison)
    assert "35.0 |" in tables.overview_table(comparison)
    figure = figures.effective_figure(comparison)
    steps, seconds, tokens = (panel.lines[0] for panel in figure.axes)
    np.testing.assert_allclose(steps.get_ydata(), [10, 20, 30, 40, 50, 60])
    assert tokens.get_xdata().tolist() == [100, 200, 300, 400, 500, 600]
    assert seconds.get_xdata()[0] == pytest.approx(13.0)


def test_replay_is_drawn_by_step_and_by_age(write_run):
    plain = write_run("grpo", 0, GRPO, 2.0, 6)
    assert figures.replay_figure(summary.compare(group_by_name([load_run(plain)]))) is None
    folder = write_run("dots_rr", 0, GRPO, 2.0, 6)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows[1:]:
        row |= {"replay/share": 0.5, "loss/fresh/clip_share": 0.0, "loss/replayed/clip_share": 0.03}
        row["loss/age_1/ratio/log_difference"] = 0.01 * row["step"]
    rows[4]["loss/age_2-3/ratio/log_difference"] = 0.07
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    figure = figures.replay_figure(summary.compare(group_by_name([load_run(plain), load_run(folder)])))
    share, moved, clipped = figure.axes
    np.testing.assert_allclose(share.lines[0].get_ydata()[1:], 50)  # nothing before training
    assert list(moved.lines[0].get_xdata()) == ["1", "2-3"]
    np.testing.assert_allclose(moved.lines[0].get_ydata(), [0.035, 0.07])
    assert [line.get_ydata()[1] for line in clipped.lines] == [0.0, 3.0]
    assert "Replayed" in share.get_title()


def test_the_controller_is_drawn_beside_the_methods_without_one(write_run):
    plain = write_run("grpo", 0, GRPO, 2.0, 6)
    assert figures.controller_figure(summary.compare(group_by_name([load_run(plain)]))) is None
    folder = write_run("e3", 0, GRPO, 2.0, 6)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows[1:]:
        row |= {"temperature/temperature": 1 + 0.1 * row["step"], "temperature/target": 0.5}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    figure = figures.controller_figure(summary.compare(group_by_name([load_run(plain), load_run(folder)])))
    entropy, temperature = figure.axes
    assert [line.get_label() for line in entropy.lines] == ["grpo", "e3", "e3's target"]
    np.testing.assert_allclose(entropy.lines[1].get_ydata(), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6])
    np.testing.assert_allclose(entropy.lines[2].get_ydata(), 0.5)
    (line,) = temperature.lines
    np.testing.assert_allclose(line.get_ydata(), [1.1, 1.2, 1.3, 1.4, 1.5, 1.6])


def test_a_temperature_that_only_one_seed_told_is_drawn_without_a_target(write_run, edit_rows):
    folders = [write_run("e3", seed, GRPO, 2.0, 6) for seed in (0, 1)]
    edit_rows(folders[1], lambda row: row.update({"temperature/temperature": 1.5}))
    found = summary.compare(group_by_name([load_run(folder) for folder in folders]))
    entropy, temperature = figures.controller_figure(found).axes
    assert [line.get_label() for line in entropy.lines] == ["e3 (2 seeds)"]
    np.testing.assert_allclose(temperature.lines[0].get_ydata(), 1.5)


def test_the_controllers_entropy_is_drawn_where_no_forward_pass_has_measured_it(write_run):
    folder = write_run("all", 0, GRPO, 2.0, 6)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows[1:]:
        del row["actor/entropy"]
        row |= {"temperature/temperature": 1.0, "temperature/entropy": 0.25, "temperature/target": 0.5}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entropy, _ = figures.controller_figure(summary.compare(group_by_name([load_run(folder)]))).axes
    np.testing.assert_allclose(entropy.lines[0].get_ydata(), 0.25)
