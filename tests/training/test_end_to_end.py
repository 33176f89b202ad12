"""Training runs through Ray and verl: the same as stock verl, the same twice, the same after a resume."""

import json
import math
import re
import shutil
from contextlib import ExitStack, closing

import pytest
import yaml
from omegaconf import OmegaConf

from tests.connections import foreign, recording
from tests.launches import LOSS, assert_same_rows, computed, must_train, on, rows_of, train
from verl_dots.launch.compose import compose
from verl_dots.processes.environment import prepare_environment
from verl_dots.processes.warm_workers import WarmWorkers

pytestmark = pytest.mark.e2e
ACTOR, ROLLOUT, REF = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "ref"))
# Metrics of how far engine and actor differ: in float32 they are rounding and nothing else.
ROUNDING = ("rollout_corr/", "training/rollout_probs_diff")


@pytest.fixture(scope="module")
def straight(inputs, tmp_path_factory):
    """Four steps in one go, with verl's console and tensorboard trackers, shown as a user sees them."""
    folder = tmp_path_factory.mktemp("straight")
    overrides = inputs.overrides(**{
        "trainer.default_local_dir": folder / "run",
        "trainer.experiment_name": "grpo",
        "trainer.total_training_steps": 4,
        "trainer.save_freq": 2,
        "trainer.logger": "[console,tensorboard]",
        "dots.console": "lines",
    })  # fmt: skip
    output = must_train(overrides, TENSORBOARD_DIR=str(folder / "tensorboard"), **recording(folder / "connections"))
    return folder, output


def test_a_run_with_local_files_asks_for_no_other_machine(straight):
    folder, _ = straight
    assert (folder / "connections" / "hosts").stat().st_size > 0  # the run's processes talk to each other
    assert foreign(folder / "connections") == set()


def test_what_a_run_leaves_behind(straight):
    folder, output = straight
    rows = rows_of(folder / "run")
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert [step for step in rows if "val-core/arithmetic/acc/mean@1" in rows[step]] == [0, 2, 4]
    for step in range(1, 5):
        row = rows[step]
        assert row["training/generated_tokens"] == pytest.approx(32 * row["response_length/mean"], rel=1e-6)
        assert (row["training/generated_rollouts"], row["generated_rollouts"]) == (32, 32 * row["step"])
        assert row["wall_seconds"] > row["train_seconds"] > rows[step - 1]["train_seconds"]
        # The engine's log-probabilities are those that the actor recomputes.
        assert row["training/rollout_probs_diff_max"] < 1e-4
    assert rows[4]["generated_tokens"] == sum(rows[step]["training/generated_tokens"] for step in range(1, 5))
    run = json.loads((folder / "run" / "run.json").read_text())
    assert (run["name"], run["seed"], run["versions"]["verl"]) == ("grpo", 1, "0.9.1")
    assert run["finished"] > run["started"]
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert (config["dots"]["seed"], config["data"]["seed"], config["trainer"]["device"]) == (1, 1, "cpu")
    assert "step:4 - " in (folder / "run" / "train.log").read_text()
    shown = output.splitlines()
    assert len(shown) < 30, output
    (first,) = [line for line in shown if line.startswith("step 1/4")]
    assert re.fullmatch(r"step 1/4  reward 0\.\d+  \d+ tokens  [\d.]+ s  .* left", first)
    assert re.match(r"complete: step 4 of 4 after (\d+ min )?\d+ s; ", shown[-1])
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.parametrize("forked", [True, pytest.param(False, marks=pytest.mark.long)])
def test_equals_stock_verl(inputs, straight, tmp_path, forked):
    """verl's own entry point and trainer, with the CPU platform and the engine plugged in and nothing else.

    Its workers are forked as those of `straight`, which spares each its imports, or started by Ray.
    """
    folder, _ = straight
    settings = {"trainer.logger": "[file]", "trainer.total_training_steps": 4}
    config = compose(inputs.overrides(**settings, **{"trainer.default_local_dir": tmp_path}))
    OmegaConf.set_struct(config, False)
    OmegaConf.resolve(config)
    del config["dots"]
    del config.actor_rollout_ref.rollout.agent["agent_loop_manager_class"]
    config.trainer.v1.trainer_mode = "sync"
    config.ray_kwargs.ray_init.address = "local"  # by itself it joins one that anybody has started here
    config.ray_kwargs.ray_init.runtime_env.env_vars = environment = prepare_environment(cpu=True)
    with ExitStack() as opened:
        if forked:
            warm = opened.enter_context(closing(WarmWorkers(environment)))
            config.ray_kwargs.ray_init.runtime_env.py_executable = warm.executable
        (tmp_path / "stock.yaml").write_text(OmegaConf.to_yaml(config))
        must_train(
            ["--config-path", str(tmp_path), "--config-name", "stock"],
            "verl.trainer.main_ppo",
            VERL_FILE_LOGGER_PATH=str(tmp_path / "metrics.jsonl"),
        )
    stock = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    ours = rows_of(folder / "run")
    assert [entry["step"] for entry in stock] == [0, 1, 2, 3, 4]
    for entry in stock:
        theirs = computed({key: value for key, value in entry["data"].items() if isinstance(value, int | float)})
        mine = {key: ours[entry["step"]].get(key) for key in theirs}
        # Stock verl takes the rows in order of arrival, so its sums round differently; nothing else may differ.
        tolerance = {
            key: pytest.approx(value, rel=2e-5, abs=1e-5 if key.startswith(ROUNDING) else 2e-6, nan_ok=True)
            for key, value in theirs.items()
        }
        assert len(theirs) > (2 if entry["step"] == 0 else 60)
        assert mine == tolerance, f"step {entry['step']}"


@pytest.mark.long
@pytest.mark.parametrize("loss", ["grpo_rr", "grpo_rr_decoupled"])
def test_with_an_empty_buffer_and_delta_1_grpo_rr_is_grpo_bit_for_bit(inputs, straight, tmp_path, loss):
    folder, _ = straight
    two_steps = {"trainer.default_local_dir": tmp_path, "trainer.total_training_steps": 2}
    loss_alone = on("replay", delta=1) | {LOSS: loss, "trainer.val_before_train": False}
    must_train(inputs.overrides(**two_steps, **loss_alone))
    theirs, mine = rows_of(folder / "run"), rows_of(tmp_path)
    for step in (1, 2):
        expected = computed(theirs[step])
        assert len(expected) > 60
        assert {key: computed(mine[step]).get(key) for key in expected} == expected, f"step {step}"


@pytest.mark.long
def test_a_resumed_run_is_the_same_run_bit_for_bit(inputs, straight, tmp_path):
    folder, _ = straight
    # As a run looks that was cut off after step 4, before it was saved.
    shutil.copytree(folder / "run", tmp_path / "run", ignore=shutil.ignore_patterns("global_step_4"))
    (tmp_path / "run" / "latest_checkpointed_iteration.txt").write_text("2")
    trainer = {"default_local_dir": tmp_path / "run", "experiment_name": "grpo", "total_training_steps": 4}
    must_train(inputs.overrides(**{f"trainer.{key}": value for key, value in trainer.items()}))
    told = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    # The validation of the step that is resumed from may come once more.
    assert [step for step in told if step != 2] == [0, 1, 3, 4, 3, 4]
    resumed, whole = rows_of(tmp_path / "run"), rows_of(folder / "run")
    assert sorted(resumed) == sorted(whole)
    assert_same_rows(tmp_path / "run", folder / "run", whole)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["resumed_step"] == 2


REWARD = """
import threading, time
lock, questions, calls = threading.Lock(), [], []
FAULTS = [lambda: 1 / 0, lambda: float("nan"), lambda: "right", lambda: [1.0], lambda: time.sleep(10_000)]

def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    with lock:
        calls.append(extra_info["index"])
        first = extra_info["index"] not in questions
        if first:
            questions.append(extra_info["index"])
    if len(calls) > 32:
        raise OSError("the reward service is down")
    if first and len(questions) <= len(FAULTS):
        return FAULTS[len(questions) - 1]()
    return float(len(calls) % 2)
"""


def test_failed_rollouts_cost_their_groups_and_a_broken_reward_the_run(inputs, tmp_path):
    """Of the 32 rewards of step 1 one raises, one is NaN, one is text, one a list, one hangs; in step 2 all raise.

    Micro-batches are of fixed sizes, as verl's are unless it is told otherwise: the 12 rows that stay do not divide.
    """
    reward = tmp_path / "reward.py"
    reward.write_text(REWARD)
    folder = tmp_path / "run"
    settings = {"reward.custom_reward_function.path": reward, "dots.max_failed_share": 0.05, "dots.reward_seconds": 5}
    settings |= {f"{ACTOR}.use_dynamic_bsz": False, f"{ACTOR}.ppo_micro_batch_size_per_gpu": 8}
    settings |= {f"{ACTOR}.use_kl_loss": True, f"{ACTOR}.shuffle": True}
    settings |= {f"{REF}.log_prob_use_dynamic_bsz": False, f"{REF}.log_prob_micro_batch_size_per_gpu": 4}
    settings |= {f"{ROLLOUT}.log_prob_use_dynamic_bsz": False, f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu": 16}
    done = train(inputs.without_validation(folder, 3, settings))
    assert done.returncode != 0
    assert re.search(r"step 2: no group is complete. The first cause: \w+Error: ", done.stdout), done.stdout[-4000:]
    for cause in (
        "the reward is nan",
        "the reward is 'right'",
        "the reward is [1.0]",
        "the reward gave no answer for 5 s",
    ):
        assert cause in done.stdout, cause
    row = rows_of(folder)[1]
    assert row["training/failed_rollouts"] == row["training/dropped_groups"] == 5
    # What is left is whole groups, trained on; what was generated is counted.
    assert math.isfinite(row["actor/grad_norm"]) and row["actor/grad_norm"] > 0
    assert row["training/dropped_tokens"] > 0
    assert row["generated_tokens"] > row["training/dropped_tokens"]
    # Nothing is lost: the step before is saved, and nothing is finished.
    assert (folder / "latest_checkpointed_iteration.txt").read_text() == "1"
    assert json.loads((folder / "run.json").read_text())["finished"] is None


def test_groups_that_verls_dynamic_sampling_throws_away_are_counted(inputs, tmp_path):
    """By its filter, and what it has asked for beyond a batch: all of it was sampled."""
    must_train(inputs.without_validation(tmp_path, 2, {"algorithm.filter_groups.enable": True}))
    thrown = []
    for row in list(rows_of(tmp_path).values())[-2:]:
        figures = ("evicted_samples", "discarded_surplus_samples")
        thrown.append(sum(row.get(f"training/filter_groups/{name}", 0) for name in figures))
        assert row["training/effective_groups"] == 1 and row["training/failed_rollouts"] == 0
        assert row["training/generated_rollouts"] == 32 + 4 * thrown[-1]
        # At least one token a rollout; those of the batch are told by verl.
        assert row["training/generated_tokens"] >= round(32 * row["response_length/mean"]) + 4 * thrown[-1]
    assert sum(thrown) > 0
