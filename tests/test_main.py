"""The command line up to the point where Ray would start: bad input must not get further."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from verl_dots.launch import start as launch
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate
from verl_dots.settings import ConfigError

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("cpu_environment")


def run(*arguments):
    command = [sys.executable, "-m", "verl_dots.main", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def files(tmp_path):
    """Overrides that name existing files; enough for the checks before Ray."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    for name in ("train", "val"):
        (tmp_path / f"{name}.parquet").write_bytes(b"PAR1")
    return [
        "device=cpu",
        f"data.train_files={tmp_path}/train.parquet",
        f"data.val_files={tmp_path}/val.parquet",
        f"actor_rollout_ref.model.path={tmp_path}/model",
    ]


@pytest.mark.parametrize(
    "override, words",
    [
        ("dots.sede=3", "unknown config key 'dots.sede'; did you mean 'dots.seed'?"),
        ("dots.seed=three", "dots.seed='three' is of type str; it must be of type int"),
        ("data.train_batchsize=3", "unknown config key 'data.train_batchsize'; did you mean 'data.train_batch_size'?"),
        ("data.val_files=nowhere.parquet", "data.val_files: there is no file 'nowhere.parquet'"),
        ("actor_rollout_ref.model.path=./nowhere", "actor_rollout_ref.model.path: './nowhere' is not a model folder"),
        ("actor_rollout_ref.rollout.name=vllm", "rollout.name='vllm' needs a GPU; on a CPU it must be 'hf'"),
        ("trainer.use_v1=False", "trainer.use_v1=False: verl_dots extends verl's V1 trainer only"),
    ],
)
def test_a_bad_override_is_explained(files, override, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        validate(compose([*files, override]))


def test_a_build_of_vllm_for_cpus_generates_on_a_cpu_and_does_not_train(files, monkeypatch):
    config = compose([*files, "actor_rollout_ref.rollout.name=vllm"])
    monkeypatch.setattr(launch, "versions", lambda: {"vllm": "0.24.0+cpu"})
    with pytest.raises(ConfigError, match="'vllm' on a CPU can generate, but takes no new weights; in training on a"):
        validate(config, data=False)
    validate(config, data=False, train=False)
    monkeypatch.setattr(launch, "versions", lambda: {"vllm": "0.24.0"})
    with pytest.raises(ConfigError, match="'vllm' needs a GPU"):
        validate(config, data=False, train=False)


def test_a_model_that_is_neither_a_folder_nor_one_of_the_hub_is_refused_before_the_data(files, cached_model):
    config = compose([*files, "actor_rollout_ref.model.path=owner/nowhere"])
    words = "actor_rollout_ref.model.path: 'owner/nowhere' is neither a folder here nor a model of the hub, or the hub"
    with pytest.raises(ConfigError, match=re.escape(words)):
        validate(config)
    validate(config, data=False)  # which asks nobody
    with pytest.raises(ConfigError, match="train.parquet is not a parquet file"):  # the next check
        validate(compose([*files, "actor_rollout_ref.model.path=owner/model"]))


def test_the_command_ends_before_ray_with_one_clear_line(files):
    done = run(*files, "dots.sede=3")
    assert done.returncode == 1
    assert "verl_dots: unknown config key 'dots.sede'; did you mean 'dots.seed'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ray init" not in done.stdout


def test_the_config_can_be_shown():
    done = run("device=cpu", "dots.seed=7", "--cfg", "job", "--resolve")
    assert done.returncode == 0
    assert "trainer_mode: dots" in done.stdout
    # One seed for everything that draws.
    assert done.stdout.count("seed: 7") >= 3


@pytest.mark.parametrize(
    ("preset", "enabled"),
    [
        ("grpo", set()),
        ("dots", {"selection"}),
        ("dots_rr", {"selection", "replay"}),
        ("adarft", {"adarft"}),
        ("e3", {"budget", "temperature"}),
        ("dash", {"filter"}),
        ("all", {"selection", "replay", "adarft", "budget", "temperature", "filter"}),
    ],
)
def test_a_preset_fills_in_a_methods_settings_under_every_other_override(cpu_environment, preset, enabled):
    config = compose(["device=cpu", "dots.replay.delta=0.25", f"dots.preset={preset}", "dots.selection.mu=7"])
    stages = ("selection", "adarft", "budget", "temperature", "filter", "replay")
    assert {name for name in stages if config.dots[name].enable} == enabled
    assert (config.dots.preset, config.dots.selection.mu, config.dots.replay.delta) == (preset, 7, 0.25)
    mode = config.actor_rollout_ref.actor.policy_loss.loss_mode
    assert mode == ("grpo_rr" if "replay" in enabled else "vanilla")
    assert config.algorithm.adv_estimator == ("grpo_rr" if "replay" in enabled else "grpo")
    papers_loss = (config.algorithm.norm_adv_by_std_in_grpo, config.actor_rollout_ref.actor.loss_agg_mode)
    of_dots = papers_loss == (False, "seq-mean-token-mean")
    assert of_dots == ("selection" in enabled)  # the same for DOTS with replay and without
    assert "device" not in config and config.trainer.device == "cpu"


def test_a_preset_that_is_none(cpu_environment):
    with pytest.raises(
        ConfigError, match="dots.preset=dapo: must be one of grpo, dots, dots_rr, adarft, e3, dash, all"
    ):
        compose(["device=cpu", "dots.preset=dapo"])
