"""The command line up to the point where Ray would start: bad input must not get further."""

import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from tests.refusals import refused
from verl_dots.config import PRESETS, DotsConfig
from verl_dots.launch import start as launch
from verl_dots.launch.compose import compose
from verl_dots.launch.help import help_text
from verl_dots.launch.start import validate

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
    "override, key, reason",
    [
        ("dots.sede=3", "dots.sede", "unknown"),
        ("dots.seed=three", "dots.seed", "type"),
        ("device=tpu", "device", "choice"),
        ("preset=dapo", "preset", "choice"),
        ("dots=null", "", "type"),
        ("+preset=dots", "", "type"),
        ("dots.adarft.alpha=2", "dots.adarft.alpha", "renamed"),
        ("data.train_batchsize=3", "data.train_batchsize", "unknown"),
        ("data.val_files=nowhere.parquet", "data.val_files", "file"),
        ("actor_rollout_ref.model.path=./nowhere", "actor_rollout_ref.model.path", "file"),
        ("actor_rollout_ref.rollout.name=vllm", "actor_rollout_ref.rollout.name", "excluded"),
        ("trainer.use_v1=False", "trainer.use_v1", "excluded"),
    ],
)
def test_a_bad_override_is_explained(files, override, key, reason):
    with refused(key, reason):
        validate(compose([*files, override]))


def test_a_build_of_vllm_for_cpus_generates_on_a_cpu_and_does_not_train(files, monkeypatch):
    config = compose([*files, "actor_rollout_ref.rollout.name=vllm"])
    monkeypatch.setattr(launch, "versions", lambda: {"vllm": "0.24.0+cpu"})
    with refused("actor_rollout_ref.rollout.name", "excluded"):
        validate(config, data=False)
    validate(config, data=False, train=False)
    monkeypatch.setattr(launch, "versions", lambda: {"vllm": "0.24.0"})
    with refused("actor_rollout_ref.rollout.name", "excluded"):
        validate(config, data=False, train=False)


def test_a_model_that_is_neither_a_folder_nor_one_of_the_hub_is_refused_before_the_data(files, cached_model):
    config = compose([*files, "actor_rollout_ref.model.path=owner/nowhere"])
    with refused("actor_rollout_ref.model.path", "file"):
        validate(config)
    validate(config, data=False)  # which asks nobody
    with refused("data.train_files", "data"):  # the next check
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
    with refused("dots.preset", "choice"):
        compose(["device=cpu", "dots.preset=dapo"])


def test_help_is_the_group_dots_and_comes_at_once(cpu_environment):
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 170 and max(map(len, lines)) <= 120
    assert "  references = 256           K, questions drawn uniformly" in done.stdout
    assert "  least, most = 4, 12        rollouts of a question" in done.stdout
    for group in ("dots", *(f"dots.{name}" for name, kind in get_type_hints(DotsConfig).items() if is_dataclass(kind))):
        assert f"\n{group}: " in done.stdout
    for word in (*(f"\n  {preset:<8} " for preset in PRESETS), "device=cpu|gpu", "--cfg job", "verl.readthedocs.io"):
        assert word in done.stdout
    code = (
        "import sys, verl_dots.launch.help; print({'torch', 'ray', 'verl', 'hydra', 'transformers'} & {*sys.modules})"
    )
    quick = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert quick.stdout == "set()\n"


def test_the_examples_of_the_help_can_be_composed(cpu_environment):
    examples = re.findall(
        r"python -m verl_dots.main((?: [^\s[]+=\S+| \\\n +\S+=\S+)+)", help_text().replace(" ...", "")
    )
    assert len(examples) == 3
    for example in examples:
        overrides = example.replace("\\\n", " ").split()
        assert compose(overrides).dots.preset == next(word for word in overrides if "preset" in word).split("=")[1]
