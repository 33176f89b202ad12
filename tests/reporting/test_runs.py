"""Loading run folders: crashes, resumes, and errors that say what to do."""

import json
import logging

import pytest

from verl_dots.reporting import runs
from verl_dots.reporting.runs import RunError, load_run

ACCURACY = "val-core/arithmetic/acc/mean@1"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run.json").write_text('{"name": "grpo", "seed": 7, "versions": {"verl": "0.9.1"}, "finished": null}')
    return tmp_path


def put(folder, *lines, end="\n"):
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metrics.jsonl").write_text("\n".join(texts) + end)


def test_a_run(folder):
    put(
        folder,
        {"step": 0, "wall_seconds": 1.5, "train_seconds": 0.0, "generated_tokens": 0, ACCURACY: 0.25},
        {"step": 1, "wall_seconds": 3.5, "train_seconds": 2.0, "generated_tokens": 640, "actor/pg_loss": None},
        '{"step": 2, "wall_seconds": 5.5, "train_seconds": 4.0, "generated_tokens": 1280, "actor/pg_loss": NaN}',
    )
    run = load_run(folder)
    assert (run.name, run.seed, run.versions, run.finished) == ("grpo", 7, {"verl": "0.9.1"}, None)
    assert run.metric_keys == (ACCURACY,)
    assert run.rows["step"].tolist() == [0, 1, 2]
    assert run.rows["generated_tokens"].tolist() == [0, 640, 1280]
    assert run.rows["actor/pg_loss"].isna().all()
    assert run.rows[ACCURACY].notna().tolist() == [True, False, False]


def test_a_resumed_run_replaces_what_the_crashed_life_said(folder):
    put(
        folder,
        {"step": 0, ACCURACY: 0.1},
        {"step": 1, "x": 1.0},
        {"step": 2, "x": 2.0},
        {"step": 3, "x": 3.0, ACCURACY: 0.3},
        {"step": 4, "x": 4.0},
        {"step": 2, ACCURACY: 0.2},  # validation of the checkpoint on resuming
        {"step": 3, "x": 30.0, ACCURACY: 0.33},
    )
    rows = load_run(folder).rows
    assert rows["step"].tolist() == [0, 1, 2, 3]  # step 4 belonged to the life that crashed
    assert rows["x"].fillna(-1).tolist() == [-1, 1.0, 2.0, 30.0]
    assert rows[ACCURACY].fillna(-1).tolist() == [0.1, -1, 0.2, 0.33]


def test_a_half_written_last_line_is_skipped_with_a_warning(folder, caplog):
    put(folder, {"step": 0, ACCURACY: 0.1}, '{"step": 1, "wall_sec', end="")
    with caplog.at_level(logging.WARNING):
        assert load_run(folder).rows["step"].tolist() == [0]
    assert "metrics.jsonl, line 2 is cut short" in caplog.text


def test_a_complete_last_line_without_newline_counts(folder):
    put(folder, {"step": 0, ACCURACY: 0.1}, {"step": 1}, end="")
    assert load_run(folder).rows["step"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"step": 1, "wall', "line 2 is not JSON"),
        ("[1, 2]", "line 2 must be a JSON object with an integer 'step'"),
        ('{"x": 1}', "line 2 must be a JSON object with an integer 'step'"),
        ('{"step": 1.5}', "line 2 must be a JSON object with an integer 'step'"),
        ('{"step": true}', "line 2 must be a JSON object with an integer 'step'"),
        ('{"step": -1}', "line 2 must be a JSON object with an integer 'step'"),
    ],
)
def test_another_bad_line_is_an_error_with_file_and_line(folder, line, message):
    put(folder, {"step": 0}, line, {"step": 2})
    with pytest.raises(RunError, match=f"metrics.jsonl, {message}"):
        load_run(folder)


def test_a_bad_last_line_that_is_not_cut_short_is_an_error(folder):
    put(folder, {"step": 0, ACCURACY: 0.1}, '{"step": 1, "wall_sec')  # it ends in a newline
    with pytest.raises(RunError, match="line 2 is not JSON"):
        load_run(folder)


def test_folders_that_are_not_runs(tmp_path, folder):
    with pytest.raises(RunError, match="nowhere is not a folder"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match="has no metrics.jsonl. Is it the folder of a training run"):
        load_run(folder)
    (tmp_path / "inner").mkdir()
    put(tmp_path / "inner", {"step": 0})
    with pytest.raises(RunError, match=r"subfolders \['inner'\] have one: name those"):
        load_run(tmp_path)


def test_an_empty_run(folder):
    put(folder, end="")
    with pytest.raises(RunError, match="metrics.jsonl is empty"):
        load_run(folder)


def test_a_run_without_validation_lists_its_keys(folder):
    put(folder, {"step": 1, "critic/score/mean": 0.5, "val-aux/num_turns/mean": 2})
    with pytest.raises(RunError, match=r"val-aux/num_turns/mean'\]; all keys: .*critic/score/mean.*test_freq"):
        load_run(folder)


def test_accuracy_keys(folder):
    row = {"step": 0, "val-core/openai/gsm8k/acc/mean@4": 0.5, "val-core/openai/gsm8k/acc/mean@1": 0.4}
    row |= {"val-core/math/acc/mean@1": 0.1, "val-core/math/acc/best@4/mean": 0.9, "val-core/math/reward/mean@1": 0.2}
    put(folder, row)
    assert load_run(folder).metric_keys == ("val-core/math/acc/mean@1", "val-core/openai/gsm8k/acc/mean@4")


def test_reward_counts_where_there_is_no_accuracy(folder):
    put(folder, {"step": 0, "val-core/math/reward/mean@1": 0.2, "val-core/math/acc/mean@1": None})
    assert load_run(folder).metric_keys == ("val-core/math/reward/mean@1",)


def test_a_metric_can_be_named(folder):
    put(folder, {"step": 0, "critic/score/mean": 0.2})
    assert load_run(folder, "critic/score/mean").metric_keys == ("critic/score/mean",)
    with pytest.raises(RunError, match=r"no metric 'critic/score/men'. Nearest: \['critic/score/mean'"):
        load_run(folder, "critic/score/men")


def test_name_and_seed_fall_back_on_the_configuration(folder, caplog):
    put(folder, {"step": 0, ACCURACY: 0.1})
    (folder / "run.json").unlink()
    (folder / "config.yaml").write_text("trainer:\n  experiment_name: dots\ndots:\n  seed: 3\n")
    with caplog.at_level(logging.WARNING):
        run = load_run(folder)
    assert (run.name, run.seed) == ("dots", 3)
    assert "lacks a name or a seed; using 'dots' and 3" in caplog.text
    (folder / "config.yaml").unlink()
    assert (load_run(folder).name, load_run(folder).seed) == (folder.name, None)


def test_costs_that_go_down_are_reported(folder, caplog):
    put(folder, {"step": 0, ACCURACY: 0.1, "wall_seconds": 9.0}, {"step": 1, "wall_seconds": 3.0})
    with caplog.at_level(logging.WARNING):
        load_run(folder)
    assert "cumulative wall_seconds goes down" in caplog.text


def test_grouping_keeps_the_order_and_warns_of_equal_seeds(write_run, caplog):
    a0, b0, a1 = (load_run(write_run(name, seed, {0: 0.1})) for name, seed in (("a", 0), ("b", 0), ("a", 1)))
    groups = runs.group_by_name([b0, a0, a1])
    assert {name: [run.seed for run in members] for name, members in groups.items()} == {"b": [0], "a": [0, 1]}
    assert list(groups) == ["b", "a"]
    with caplog.at_level(logging.WARNING):
        runs.group_by_name([a0, a0])
    assert "are both 'a' with seed 0" in caplog.text
