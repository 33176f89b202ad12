"""Methods together through Ray and verl: each pair for three steps, and all at once."""

from itertools import combinations

import pytest

from tests.launches import must_train, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

METHODS = {
    "selection": {
        "dots.selection.enable": True,
        "dots.selection.references": 8,
        "dots.selection.tau": 0.1,
        "dots.selection.mu": 2,
    },
    "replay": {
        "dots.replay.enable": True,
        "dots.replay.capacity": 8,
        "actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr",
    },
    "adarft": {
        "dots.adarft.enable": True,
        "dots.adarft.difficulty": "extra_info.level",
        "dots.adarft.range": "[1,10]",
        "dots.adarft.initial": 1,
        "dots.adarft.eta": 4.5,
    },
    "e3": {
        "dots.budget.enable": True,
        "dots.budget.least": 2,
        "dots.budget.most": 8,
        "dots.budget.widen": 2,
        "dots.temperature.enable": True,
        "dots.length_penalty.enable": True,
    },
    "dash": {
        "dots.filter.enable": True,
        "dots.preemptive.enable": True,
        "dots.preemptive.prompts": 16,
        "actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr",
    },
}
# Metrics that each method logs in every step of its own.
LOGS = {
    "selection": ("selection/trusted",),
    "replay": ("replay/share", "loss/fresh/ratio/mean"),
    "adarft": ("adarft/target", "adarft/reward"),
    "e3": ("budget/rollouts/max", "temperature/temperature", "length_penalty/share"),
    "dash": ("filter/share", "filter/seconds_saved"),
}
SAMPLES_AHEAD = "preemptive/cached_groups"
# What a pair cannot have, see the tests of checks: sampling for several steps at once goes with neither replay nor
# anything that must see each step before the next.
WITHOUT = {
    frozenset({"replay", "dash"}): {"dots.preemptive.enable": False},
    frozenset({"adarft", "dash"}): {"dots.preemptive.enable": False},
    frozenset({"e3", "dash"}): {"dots.temperature.enable": False},
    frozenset({"selection", "dash"}): {"dots.selection.reuse_references": False},
    # The target is of predicted difficulties, where there are predictions.
    frozenset({"selection", "adarft"}): {"dots.adarft.range": "[0,1]", "dots.adarft.initial": 0.5},
}


@pytest.mark.parametrize("pair", list(combinations(METHODS, 2)), ids="-".join)
def test_every_pair_runs(inputs, tmp_path, pair):
    changed = WITHOUT.get(frozenset(pair), {})
    settings = {key: value for name in pair for key, value in METHODS[name].items()} | changed
    must_train(inputs.overrides(**settings, **{
        "dots.difficulty.cache": tmp_path / "embeddings",
        "data.train_max_samples": 32,
        "trainer.default_local_dir": tmp_path / "run",
        "trainer.total_training_steps": 3,
        "trainer.save_freq": 3,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
    }))  # fmt: skip
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2, 3]
    expected = {name for method in pair for name in LOGS[method]}
    if changed.get("dots.temperature.enable") is False:
        expected.remove("temperature/temperature")
    if "dash" in pair and changed.get("dots.preemptive.enable", True):
        expected.add(SAMPLES_AHEAD)
    # Figures of a round of selection are logged where it begins; those of fresh rows where there are any.
    always = expected - {"selection/trusted", "loss/fresh/ratio/mean"}
    for step, row in rows.items():
        missing = {name for name in always if row.get(name) is None or row[name] != row[name]}
        assert not missing, f"step {step}"
        assert row["critic/score/mean"] == row["critic/score/mean"]
    assert expected <= set().union(*rows.values())


@pytest.mark.parametrize("ranks", [1, 2])
def test_all_together(inputs, tmp_path, ranks):
    must_train(inputs.overrides(**{
        "dots.preset": "all",
        "dots.selection.references": 12,
        "dots.selection.tau": 0.1,
        "dots.selection.mu": 1,
        "dots.replay.capacity": 8,
        "dots.budget.widen": 3,
        "dots.budget.least": 2,
        "dots.budget.most": 8,
        "dots.length_penalty.enable": True,
        "dots.difficulty.cache": tmp_path / "embeddings",
        "data.train_max_samples": 32,
        "trainer.default_local_dir": tmp_path / "run",
        "trainer.n_gpus_per_node": ranks,
        "trainer.total_training_steps": 5,
        "trainer.save_freq": 5,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
    }))  # fmt: skip
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5]
    for row in rows.values():
        for name in {name for names in LOGS.values() for name in names}:
            assert row[name] == row[name], name
    assert any(row["replay/share"] > 0 for row in rows.values())
    assert rows[5]["adarft/target"] != rows[1]["adarft/target"]
    states = {file.name for file in (tmp_path / "run" / "global_step_5").glob("*.safetensors")}
    names = ("selection", "adarft", "budget", "temperature", "length_penalty", "replay")
    assert states == {f"{name}.safetensors" for name in names}
