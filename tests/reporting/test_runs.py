"""Loading run folders: what is damaged or missing is named, and errors say what to do."""

import json
import math

import pytest

from tests.refusals import refused
from tests.reporting.conftest import load_run
from verl_dots.reporting.runs import NothingRecordedError, RunError

ACCURACY = "val-core/arithmetic/acc/mean@1"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run.json").write_text('{"name": "grpo", "seed": 7, "versions": {"verl": "0.9.1"}, "finished": null}')
    return tmp_path


def put(folder, *lines):
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_run(folder):
    put(
        folder,
        {"step": 0, "wall_seconds": 1.5, "train_seconds": 0.0, "generated_tokens": 0, ACCURACY: 0.25},
        {"step": 1, "wall_seconds": 3.5, "train_seconds": 2.0, "generated_tokens": 640, "actor/pg_loss": None},
        {"step": 2, "wall_seconds": 5.5, "train_seconds": 4.0, "generated_tokens": 1280, "actor/pg_loss": math.nan},
    )
    run = load_run(folder)
    assert (run.name, run.seed, run.versions, run.finished) == ("grpo", 7, {"verl": "0.9.1"}, None)
    assert run.metric_keys == (ACCURACY,)
    assert run.rows["step"].tolist() == [0, 1, 2]
    assert run.rows["generated_tokens"].tolist() == [0, 640, 1280]
    assert run.rows["actor/pg_loss"].isna().all()
    assert run.rows[ACCURACY].notna().tolist() == [True, False, False]


def test_folders_that_are_not_runs(tmp_path, folder):
    with refused(f"{tmp_path}/nowhere", "file", kind=RunError):
        load_run(tmp_path / "nowhere")
    with refused(str(folder), "missing", "metrics.jsonl", kind=NothingRecordedError):
        load_run(folder)
    put(folder)
    with refused(str(folder / "metrics.jsonl"), "missing", kind=NothingRecordedError):
        load_run(folder)
    for name in ("run.json", "metrics.jsonl"):
        (folder / name).unlink()
    with refused(str(folder), "file", "metrics.jsonl"):
        load_run(folder)
    (tmp_path / "inner").mkdir()
    put(tmp_path / "inner", {"step": 0})
    with refused(str(tmp_path), "file", "['inner']"):
        load_run(tmp_path)


def test_a_run_without_validation_lists_its_keys(folder):
    put(folder, {"step": 1, "critic/score/mean": 0.5, "val-aux/num_turns/mean": 2})
    with refused(str(folder), "data", "val-aux/num_turns/mean", "critic/score/mean", "test_freq"):
        load_run(folder)


def test_accuracy_counts_with_the_most_samples_and_reward_where_there_is_none(folder):
    row = {"step": 0, "val-core/openai/gsm8k/acc/mean@4": 0.5, "val-core/openai/gsm8k/acc/mean@1": 0.4}
    row |= {"val-core/math/acc/mean@1": 0.1, "val-core/math/acc/best@4/mean": 0.9, "val-core/math/reward/mean@1": 0.2}
    put(folder, row)
    assert load_run(folder).metric_keys == ("val-core/math/acc/mean@1", "val-core/openai/gsm8k/acc/mean@4")
    put(folder, {"step": 0, "val-core/math/reward/mean@1": 0.2, "val-core/math/acc/mean@1": None})
    assert load_run(folder).metric_keys == ("val-core/math/reward/mean@1",)
    # Of a source whose rewards tell no accuracy the reward counts, whatever other sources have.
    put(folder, {"step": 0, "val-core/math/acc/mean@8": 0.2, "val-core/code/reward/mean@8": 0.4})
    run = load_run(folder)
    assert run.metric_keys == ("val-core/code/reward/mean@8", "val-core/math/acc/mean@8")


def test_any_metric_can_be_named_that_is_no_cost(folder):
    put(folder, {"step": 0, "critic/score/mean": 0.2, "wall_seconds": 1.0})
    assert load_run(folder, "critic/score/mean").metric_keys == ("critic/score/mean",)
    with refused("critic/score/men", "unknown", "['critic/score/mean'"):
        load_run(folder, "critic/score/men")
    with refused("wall_seconds", "unknown"):
        load_run(folder, "wall_seconds")


def test_name_and_seed_fall_back_on_the_configuration(folder):
    put(folder, {"step": 0, ACCURACY: 0.1})
    (folder / "run.json").unlink()
    (folder / "config.yaml").write_text("trainer:\n  experiment_name: dots\ndots:\n  seed: 3\n")
    run = load_run(folder)
    assert (run.name, run.seed) == ("dots", 3)
    file = folder / "run.json"
    assert run.notes == (
        f"{file} is missing.",
        f"{file} does not tell whether the run has finished.",
        f"{file} lacks a name or a seed; using 'dots' and 3.",
        f"{folder} tells no wall_seconds, no train_seconds, no generated_tokens.",
    )
    (folder / "config.yaml").write_text("trainer: {experiment_name: dots\n")
    run = load_run(folder)
    assert (run.name, run.seed) == (folder.name, None)
    assert any("config.yaml cannot be read (" in note for note in run.notes)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"name": "grpo", "se', "is damaged (Unterminated string"),
        ("[1]", "is damaged (it holds no JSON object)"),
        ("", "is damaged (Expecting value"),
        ("[" * 100_000, "is damaged (its brackets are too deep)"),
        ('{"name": 5, "seed": 1, "finished": null}', "'name' is 5, which is no str; it is not used."),
        ('{"name": "grpo", "seed": "one", "finished": null}', "'seed' is 'one', which is no int; it is not used."),
        ('{"name": "grpo", "seed": true, "finished": null}', "'seed' is True, which is no int; it is not used."),
        ('{"name": "a", "seed": 1, "versions": ["v"], "finished": null}', "'versions' is ['v'], which is no dict"),
    ],
)
def test_a_damaged_run_json_is_named(folder, text, named):
    put(folder, {"step": 0, ACCURACY: 0.1})
    (folder / "run.json").write_text(text)
    assert any(named in note for note in load_run(folder).notes)


def test_a_run_is_whole_if_it_has_an_end_and_all_of_its_steps(folder):
    put(folder, {"step": 0, ACCURACY: 0.1}, {"step": 30, ACCURACY: 0.2})
    (folder / "config.yaml").write_text("trainer: {total_training_steps: 60}\n")
    for finished in ("null", '""', "false", "1"):
        (folder / "run.json").write_text(f'{{"name": "grpo", "seed": 7, "finished": {finished}}}')
        assert load_run(folder).unfinished == "not finished (step 30 of 60)"
    (folder / "run.json").write_text('{"name": "grpo", "seed": 7, "finished": "2026-01-01"}')
    for planned, reason in {60: "ended early (step 30 of 60)", 20: "too long (step 30 of 20)", 30: None}.items():
        (folder / "config.yaml").write_text(f"trainer: {{total_training_steps: {planned}}}\n")
        assert load_run(folder).unfinished == reason
    (folder / "run.json").unlink()  # then only the steps tell
    assert load_run(folder).unfinished is None


def test_rows_without_all_sources_are_named(folder):
    other = "val-core/math/acc/mean@1"
    both = {ACCURACY: 0.1, other: 0.2}
    put(folder, {"step": 0, **both}, {"step": 1, ACCURACY: 0.1}, {"step": 2, **both})
    run = load_run(folder)
    assert run.last_validation == 2
    assert "have a value at steps [1]; these do not count." in run.notes[-1]
    put(folder, {"step": 0, ACCURACY: 0.1}, {"step": 1, other: 0.1})
    with refused("--metric", "data", kind=NothingRecordedError):
        load_run(folder)
