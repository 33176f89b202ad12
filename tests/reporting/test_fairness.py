"""What a reader must know before believing a comparison."""

import shutil

import pytest

from verl_dots.reporting import fairness
from verl_dots.reporting.selection import select

CURVE = {0: 0.1, 2: 0.2, 4: 0.3}
DOTS = {0: 0.1, 2: 0.25, 4: 0.35}


def settings(**changed):
    """Settings of a run; `data__val_files` stands for data.val_files."""
    found = {"data": {"train_files": "train.parquet", "val_files": "val.parquet", "train_batch_size": 8}}
    found |= {"actor_rollout_ref": {"model": {"path": "models/tiny"}}, "trainer": {"total_training_steps": 4}}
    found["dots"] = {"preset": "grpo", "seed": 0}
    for key, value in changed.items():
        *rooms, last = key.split("__")
        place = found
        for room in rooms:
            place = place[room]
        place[last] = value
    return found


def notes(*folders):
    return fairness.notes(select(folders).groups)


def test_methods_that_differ_by_what_they_are_alone_need_no_note(write_run):
    dots = write_run("dots", 0, DOTS, settings=settings(dots__preset="dots"))
    assert notes(write_run("grpo", 0, CURVE, settings=settings()), dots) == ()


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("data__val_files", "other.parquet", "data.val_files: val.parquet (grpo), other.parquet (dots)."),
        ("data__train_files", "a.parquet", "data.train_files: train.parquet (grpo), a.parquet (dots)."),
        ("data__train_batch_size", 16, "data.train_batch_size: 8 (grpo), 16 (dots)."),
        ("actor_rollout_ref__model__path", "b", "actor_rollout_ref.model.path: models/tiny (grpo), b (dots)."),
        ("trainer__test_freq", 3, "trainer.test_freq: – (grpo), 3 (dots)."),
        ("trainer__n_gpus_per_node", 8, "trainer.n_gpus_per_node: – (grpo), 8 (dots)."),
    ],
)
def test_settings_that_methods_should_share_are_named(write_run, key, value, sentence):
    folders = [write_run("grpo", 0, CURVE, settings=settings())]
    folders.append(write_run("dots", 0, DOTS, settings=settings(**{key: value, "dots__preset": "dots"})))
    assert notes(*folders) == (f"methods differ in {sentence}",)


def test_runs_of_one_method_must_not_differ_in_anything(write_run):
    one = write_run("grpo", 0, CURVE, settings=settings())
    two = write_run("grpo", 1, DOTS, settings=settings(dots__preset="dots", dots__seed=1))
    assert notes(one, two) == (f"the runs of grpo differ in dots.preset: grpo ({one}), dots ({two}).",)


def test_other_versions_are_named(write_run):
    folders = [write_run("grpo", 0, CURVE, settings=settings()), write_run("dots", 0, DOTS, settings=settings())]
    info = folders[1] / "run.json"
    info.write_text(info.read_text().replace("0.9.1", "0.9.2"))
    assert notes(*folders) == ("methods differ in version of verl: 0.9.1 (grpo), 0.9.2 (dots).",)


def test_missing_settings_are_named(write_run):
    one, two = write_run("grpo", 0, CURVE, settings=settings()), write_run("dots", 0, DOTS)
    unchecked = "has a config.yaml that can be read: whether model, data and batch are the same was not checked."
    assert notes(one, two) == (f"not every run (not {two}) {unchecked}",)
    (one / "config.yaml").unlink()
    assert notes(one, two) == (f"no run {unchecked}",)


def other_notes(*folders):
    """Notes without that on config.yaml."""
    return notes(*folders)[1:]


def test_lengths_and_first_evaluations_are_named(write_run):
    one, two = write_run("grpo", 0, CURVE), write_run("dots", 0, {1: 0.1, 2: 0.3}, last_step=2)
    assert other_notes(one, two) == (
        "methods differ in steps trained: grpo 4, dots 2.",
        "methods differ in the step of their first evaluation, and so in their gain: grpo 0, dots 1.",
    )


def test_runs_of_a_method_evaluated_at_different_steps_are_named(write_run):
    one, two = write_run("grpo", 0, CURVE), write_run("grpo", 1, {0: 0.1, 1: 0.1, 4: 0.3})
    assert other_notes(one, two) == (
        "the runs of grpo were evaluated at different steps: only those that all share count.",
    )


def test_numbers_of_runs_and_seeds_are_named(write_run):
    grpo = [write_run("grpo", seed, {0: 0.1, 4: 0.3 + seed / 100}) for seed in (0, 1)]
    dots = [write_run("dots", seed, {0: 0.1, 4: 0.4 + seed / 100}, seconds=3.0) for seed in (1, 2)]
    assert other_notes(*grpo, dots[0]) == ("methods differ in the number of their runs: grpo 2, dots 1.",)
    assert other_notes(*grpo, *dots) == ("methods differ in their seeds: grpo 0 1, dots 1 2.",)


def test_a_copy_under_another_name_or_seed_is_named(write_run, tmp_path):
    one = write_run("grpo", 0, CURVE)
    two = tmp_path / "copy"
    shutil.copytree(one, two)
    (two / "run.json").write_text((one / "run.json").read_text().replace("grpo", "dots"))
    sentence = f"{one} and {two} have the same rows, times included: is one a copy?"
    assert other_notes(one, two) == (sentence,)
    (two / "run.json").write_text((one / "run.json").read_text().replace('"seed": 0', '"seed": 1'))
    assert other_notes(one, two) == (sentence,)


def test_a_final_accuracy_that_is_not_of_the_last_step_is_named(write_run):
    folder = write_run("grpo", 0, {0: 0.1, 2: 0.2}, settings=settings())
    assert notes(folder) == (f"{folder} was last evaluated at step 2 of its 4.",)


def test_few_of_many_differences_are_named(write_run):
    many = {f"key{index}": index for index in range(20)}
    one, two = write_run("grpo", 0, CURVE, settings=settings()), write_run("dots", 0, DOTS, settings=settings() | many)
    found = notes(one, two)
    assert found[0] == "methods differ in key0: – (grpo), 0 (dots)."
    assert (len(found), found[-1]) == (9, "methods differ in 12 more settings.")


def test_a_step_in_which_the_machine_stood_still_is_named(write_run, edit_rows):
    folder = write_run("grpo", 0, CURVE)  # steps of 2 s, after a first one of 12 s, which may be slow
    assert notes(folder) == ()

    def stall(row):
        if row["step"] >= 3:
            row["train_seconds"] += 100
            row["wall_seconds"] += 100

    edit_rows(folder, stall)
    assert notes(folder) == (f"{folder}: step 3 took 102 s where the median is 2 s; its times are bent by that.",)


def test_other_models_show_before_training(write_run):
    one, two = write_run("grpo", 0, CURVE), write_run("dots", 0, {0: 0.2, 2: 0.25, 4: 0.35})
    assert other_notes(one, two) == (
        "methods differ in their accuracy before training: grpo 0.100, dots 0.200. Is the model the same, and the "
        "validation?",
    )


def test_a_metric_of_training_is_named(write_run):
    folders = [write_run("grpo", 0, CURVE), write_run("dots", 0, DOTS)]
    found = fairness.notes(select(folders, "critic/score/mean").groups)
    assert found[-1] == (
        "critic/score/mean is measured on training batches, which methods choose differently; it is no validation."
    )


def test_seeds_under_names_of_their_own_are_named(write_run):
    folders = [
        write_run(f"grpo-seed{seed}", seed, {0: 0.1, 4: 0.3}, settings=settings(dots__seed=seed)) for seed in (0, 1)
    ]
    assert notes(folders[0], write_run("dots", 0, DOTS, settings=settings(dots__preset="dots")), folders[1])[-1] == (
        "grpo-seed0 and grpo-seed1 have the same settings: seeds of one method share trainer.experiment_name."
    )
