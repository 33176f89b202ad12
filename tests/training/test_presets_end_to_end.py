"""Methods together through Ray and verl: all at once, killed and resumed, and each pair for three steps."""

import shutil
import sys
from itertools import combinations

import pytest
from omegaconf import OmegaConf

from scripts.faults.launch import Launch
from scripts.faults.moments import Kill, Moment, seconds_of
from scripts.faults.tree import leave_alone
from tests.launches import GRPO_RR, SILENT_SECONDS, assert_same_rows, cut_off, must_train, on, rows_of
from tests.training.everything import everything
from verl_dots.methods.adarft.rule import next_target

pytestmark = pytest.mark.e2e

METHODS = {
    "selection": on("selection", references=8, tau=0.1, mu=2),
    "replay": on("replay", capacity=8) | GRPO_RR,
    "adarft": on("adarft", difficulty="extra_info.level", range="[1,10]", initial=1, eta=4.5),
    "e3": on("budget", least=2, most=8, widen=2) | on("temperature") | on("length_penalty"),
    "dash": on("filter") | on("preemptive", prompts=16) | GRPO_RR,
}
# Metrics that each method logs in every step of its own.
LOGS = {
    "selection": ("selection/trusted",),
    "replay": ("replay/share", "loss/fresh/ratio/mean"),
    "adarft": ("adarft/target", "adarft/reward"),
    "e3": ("budget/rollouts/max", "temperature/temperature", "length_penalty/share"),
    "dash": ("filter/share", "filter/seconds_saved"),
}
TRIES = 3  # beside other work an update may be over before its kill comes; the run is then at its end
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


@pytest.mark.long
@pytest.mark.parametrize("pair", list(combinations(METHODS, 2)), ids="-".join)
def test_every_pair_runs(inputs, tmp_path, pair):
    changed = WITHOUT.get(frozenset(pair), {})
    data = {"dots.difficulty.cache": tmp_path / "embeddings", "data.train_max_samples": 32, "trainer.save_freq": 3}
    must_train(inputs.without_validation(tmp_path / "run", 3, data, *(METHODS[name] for name in pair), changed))
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


@pytest.fixture(scope="module")
def two_steps(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("everything")
    must_train(everything(inputs, folder, steps=2, **{"trainer.save_freq": 1}))
    return folder


def test_everything_for_two_steps(two_steps):
    rows = rows_of(two_steps / "run")
    for step in (1, 2):
        for name in {name for names in LOGS.values() for name in names}:
            assert rows[step][name] == rows[step][name], name
    assert rows[2]["replay/share"] > 0
    adarft = OmegaConf.load(two_steps / "run" / "config.yaml").dots.adarft
    rule = {name: adarft[name] for name in ("eta", "sensitivity", "beta")} | dict(
        zip(("low", "high"), adarft.range, strict=True)
    )
    followed = next_target(rows[1]["adarft/target"], rows[1]["adarft/reward"], **rule)
    assert rows[2]["adarft/target"] == pytest.approx(followed)
    states = {file.name for file in (two_steps / "run" / "global_step_2").glob("*.safetensors")}
    names = ("selection", "adarft", "budget", "temperature", "length_penalty", "replay")
    assert states == {f"{name}.safetensors" for name in names}


@pytest.mark.usefixtures("orphans_left_again")
def test_everything_resumed_and_killed_in_its_update_and_resumed_is_the_same_bit_for_bit(inputs, two_steps, tmp_path):
    """SIGKILL to verl's worker in the second step. `scripts.fault_test` has the other processes and moments."""
    whole, run = two_steps / "run", tmp_path / "run"
    resumed = {"trainer.save_freq": -1, "dots.console": "lines", "dots.difficulty.cache": two_steps / "embeddings"}
    overrides = everything(inputs, tmp_path, steps=2, **resumed)
    leave_alone()
    kill = Kill(1, Moment("worker", "update"), share=0.25, steps=0, pause=0)
    for _ in range(TRIES):
        shutil.rmtree(run, ignore_errors=True)
        cut_off(whole, 1, run)
        launch = Launch([sys.executable, "-m", "verl_dots.main", *overrides], run, SILENT_SECONDS)
        found = launch.kill(kill, seconds_of(whole, start=0))
        if found.came or found.fault:
            break
    assert (found.came, found.fault, found.survivors.wait()) == (True, "", [])
    assert found.said.startswith("failed: ") and "died" in found.said
    assert not (run / "metrics.jsonl").exists()
    must_train(overrides)
    assert sorted(rows_of(run)) == [1, 2]  # the first is in the checkpoint, too
    assert_same_rows(run, whole, [1, 2])


@pytest.mark.long
def test_everything_on_two_workers(inputs, tmp_path):
    must_train(everything(inputs, tmp_path, steps=5, **{"trainer.n_gpus_per_node": 2}))
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5] and rows[5]["adarft/target"] != rows[1]["adarft/target"]
    assert any(row["replay/share"] > 0 for row in rows.values())
