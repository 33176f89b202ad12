"""Settings of runs, and how they differ."""

import pytest

from verl_dots.reporting import configs


def test_settings_are_flat(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("data: {train_files: [a.parquet], extra: {}}\ntrainer:\n  total_training_steps: 60\n")
    assert configs.read_settings(file) == (
        {"data.train_files": ["a.parquet"], "data.extra": {}, "trainer.total_training_steps": 60},
        (),
    )
    assert configs.read_settings(tmp_path / "nowhere") == (None, ())


@pytest.mark.parametrize(
    ("words", "texts"),
    [("cannot be read (", [b"a: [1", b"\xff\xfe\x00", b"\x00\x00"]), ("holds no settings", [b"", b"- 1\n", b"words"])],
)
def test_a_file_that_is_damaged_or_holds_no_settings_is_named(tmp_path, words, texts):
    file = tmp_path / "config.yaml"
    for text in texts:
        file.write_bytes(text)
        settings, (note,) = configs.read_settings(file)
        assert settings is None and note.startswith(f"{file} {words}"), text


@pytest.mark.parametrize(
    ("trainer", "optimiser", "steps"),
    [(60, 90, 60), (None, 90, 90), (None, -1, None), (float("inf"), None, None), ("many", None, None)],
)
def test_planned_steps_are_those_set_or_those_computed(trainer, optimiser, steps):
    keys = ("trainer.total_training_steps", "actor_rollout_ref.actor.optim.total_training_steps")
    assert configs.planned_steps(dict(zip(keys, (trainer, optimiser), strict=True))) == steps
    assert configs.planned_steps({}) is configs.planned_steps(None) is None


def test_differences_leave_aside_who_a_run_is():
    one = {"dots.seed": 1, "trainer.default_local_dir": "a", "actor_rollout_ref.actor.data_loader_seed": 1, "data.x": 8}
    two = {"dots.seed": 2, "trainer.default_local_dir": "b", "actor_rollout_ref.actor.data_loader_seed": 2, "data.x": 8}
    assert configs.differences([one, two]) == []


def test_keys_of_equal_values_are_together_and_equal_values_do_not_differ():
    one = {"data.max_response_length": 48, "data.files": ["a"], "lr": 1e-6, "on": True, "data.n": 1}
    two = {"data.max_response_length": 96, "data.files": "a", "lr": "1e-06", "on": True, "rollout.response_length": 96}
    assert configs.differences([{**one, "rollout.response_length": 48}, two]) == [
        (("data.max_response_length", "rollout.response_length"), ("48", "96")),
        (("data.n",), ("1", "–")),
    ]


def test_methods_differ_by_what_they_are():
    own = ("dots.preset", "algorithm.adv_estimator", "data.gen_batch_size")
    same = ("data.val_files", "actor_rollout_ref.model.path")
    assert configs.split_by_method((*own, *same)) == (same, own)


def test_the_form_of_the_loss_should_be_the_same_for_a_method_and_its_baseline():
    same = ("algorithm.norm_adv_by_std_in_grpo", "actor_rollout_ref.actor.loss_agg_mode")
    own = ("actor_rollout_ref.actor.policy_loss.loss_mode", "actor_rollout_ref.actor.clip_ratio_c")
    assert configs.split_by_method((*same, *own)) == (same, own)


def test_the_end_of_a_long_value_is_shown():
    assert configs.shortened("a" * 60) == "a" * 60
    assert configs.shortened("a" * 60 + "/val.parquet") == "..." + "a" * 45 + "/val.parquet"
