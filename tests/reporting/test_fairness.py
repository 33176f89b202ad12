"""What a reader must know before believing a comparison."""

import json
import shutil

import pytest

from verl_dots.reporting import fairness
from verl_dots.reporting.counted_runs import select

CURVE = {0: 0.1, 2: 0.2, 4: 0.3}
DOTS = {0: 0.1, 2: 0.25, 4: 0.35}
SETTINGS = {"data.val_files": "val.parquet", "data.train_batch_size": 8, "actor_rollout_ref.model.path": "models/tiny"}
SETTINGS |= {"trainer.total_training_steps": 4, "dots.preset": "grpo", "dots.seed": 0}
OTHER_METHOD = SETTINGS | {"dots.preset": "dots"}
MODEL = "Is the model the same, and the validation?"


def notes(*folders):
    """Where several runs have no settings, the first note says so."""
    return fairness.notes(select(folders).groups)


def test_methods_that_differ_by_what_they_are_alone_need_no_note(write_run):
    dots = write_run("dots", 0, DOTS, settings=OTHER_METHOD)
    assert notes(write_run("grpo", 0, CURVE, settings=SETTINGS), dots) == ()


@pytest.mark.parametrize(
    ("key", "value", "values"),
    [
        ("data.val_files", "b.parquet", "val.parquet (grpo), b.parquet (dots)"),
        ("data.train_batch_size", 16, "8 (grpo), 16 (dots)"),
        ("actor_rollout_ref.model.path", "b", "models/tiny (grpo), b (dots)"),
        ("trainer.test_freq", 3, "– (grpo), 3 (dots)"),
    ],
)
def test_settings_that_methods_should_share_are_named(write_run, key, value, values):
    dots = write_run("dots", 0, DOTS, settings=OTHER_METHOD | {key: value})
    assert notes(write_run("grpo", 0, CURVE, settings=SETTINGS), dots) == (f"methods differ in {key}: {values}.",)


def test_runs_of_one_method_must_not_differ_in_anything(write_run):
    one = write_run("grpo", 0, CURVE, settings=SETTINGS)
    two = write_run("grpo", 1, DOTS, settings=OTHER_METHOD | {"dots.seed": 1})
    assert notes(one, two) == (f"the runs of grpo differ in dots.preset: grpo ({one}), dots ({two}).",)


def test_other_versions_are_named(write_run):
    folders = [write_run("grpo", 0, CURVE, settings=SETTINGS), write_run("dots", 0, DOTS, settings=SETTINGS)]
    info = folders[1] / "run.json"
    info.write_text(info.read_text().replace("0.9.1", "0.9.2"))
    assert notes(*folders) == ("methods differ in version of verl: 0.9.1 (grpo), 0.9.2 (dots).",)


def test_missing_settings_are_named(write_run):
    one, two = write_run("grpo", 0, CURVE, settings=SETTINGS), write_run("dots", 0, DOTS)
    unchecked = "has a config.yaml that can be read: whether model, data and batch are the same was not checked."
    assert notes(one, two) == (f"not every run (not {two}) {unchecked}",)
    (one / "config.yaml").unlink()
    assert notes(one, two) == (f"no run {unchecked}",)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([("dots", 0, {0: 0.1, 2: 0.3})], "steps trained: grpo 4, dots 2."),
        ([("dots", 0, {1: 0.1, 4: 0.3})], "the step of their first validation, and so in their gain: grpo 0, dots 1."),
        ([("grpo", 1, DOTS), ("dots", 0, CURVE, 3.0)], "the number of their runs: grpo 2, dots 1."),
        ([("grpo", 1, DOTS), ("dots", 1, CURVE, 3.0), ("dots", 2, DOTS, 3.0)], "their seeds: grpo 0 1, dots 1 2."),
        ([("dots", 0, {0: 0.2, 4: 0.3})], f"their accuracy before training: grpo 0.100, dots 0.200. {MODEL}"),
    ],
)
def test_methods_with_other_rows_are_named(write_run, others, words):
    _, *found = notes(write_run("grpo", 0, CURVE), *[write_run(*run) for run in others])
    assert found == [f"methods differ in {words}"]


def test_runs_of_a_method_validated_at_different_steps_are_named(write_run):
    one, two = write_run("grpo", 0, CURVE), write_run("grpo", 1, {0: 0.1, 1: 0.1, 4: 0.3})
    sentence = "the runs of grpo were validated at different steps: only those that all share count."
    assert notes(one, two)[1:] == (sentence,)


def test_a_copy_under_another_name_or_seed_is_named(write_run, tmp_path):
    one = write_run("grpo", 0, CURVE)
    two = tmp_path / "copy"
    shutil.copytree(one, two)
    (two / "run.json").write_text((one / "run.json").read_text().replace("grpo", "dots"))
    sentence = f"{one} and {two} have the same rows, times included: is one a copy?"
    assert notes(one, two)[1:] == (sentence,)
    (two / "run.json").write_text((one / "run.json").read_text().replace('"seed": 0', '"seed": 1'))
    assert notes(one, two)[1:] == (sentence,)


def test_a_final_accuracy_that_is_not_of_the_last_step_is_named(write_run):
    folder = write_run("grpo", 0, {0: 0.1, 2: 0.2}, last_step=4)
    assert notes(folder) == (f"{folder} was last validated at step 2 of its 4.",)


def test_few_of_many_differences_are_named(write_run):
    many = {f"key{index}": index for index in range(20)}
    one, two = write_run("grpo", 0, CURVE, settings=SETTINGS), write_run("dots", 0, DOTS, settings=SETTINGS | many)
    found = notes(one, two)
    assert found[0] == "methods differ in key0: – (grpo), 0 (dots)."
    assert (len(found), found[-1]) == (9, "methods differ in 12 more settings.")


def test_a_step_in_which_the_machine_stood_still_is_named(write_run):
    # Steps of 2 s, after a first one of 12 s, which may be slow.
    assert notes(write_run("grpo", 0, CURVE)) == ()
    folder = write_run("grpo", 1, CURVE, metrics=lambda step: {"train_seconds": 10 + 2 * step + 100 * (step >= 3)})
    assert notes(folder) == (f"{folder}: step 3 took 102 s where the median is 2 s; its times are bent by that.",)


def test_a_metric_of_training_is_named(write_run):
    folders = [write_run("grpo", 0, CURVE), write_run("dots", 0, DOTS)]
    words = "is measured on training batches, which methods choose differently; it is no validation."
    assert fairness.notes(select(folders, "critic/score/mean").groups)[-1] == f"critic/score/mean {words}"


def test_seeds_under_names_of_their_own_are_named(write_run):
    one, two = (write_run(f"grpo-seed{seed}", seed, CURVE, settings=SETTINGS | {"dots.seed": seed}) for seed in (0, 1))
    dots = write_run("dots", 0, DOTS, settings=OTHER_METHOD)
    sentence = "grpo-seed0 and grpo-seed1 have the same settings: seeds of one method share trainer.experiment_name."
    assert notes(one, dots, two)[-1] == sentence


def test_machines_are_named_where_they_are_several(write_run):
    folders = [write_run("grpo", 0, CURVE, settings=SETTINGS), write_run("dots", 0, DOTS, settings=OTHER_METHOD)]
    for folder, cpu in zip(folders, ("Fast", "Fast"), strict=True):
        told(folder, cpu)
    assert notes(*folders) == ()
    told(folders[1], "Slow")
    assert notes(*folders) == (
        "runs are of several machines, whose times cannot be compared: Fast, 2 cores (grpo); Slow, 2 cores (dots).",
    )


def told(folder, cpu):
    """Write the machine into run.json."""
    info = folder / "run.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"machine": {"cpu": cpu, "cores": 2}}))
