"""The command line up to the point where Ray would start: bad input must not get further."""

import re
import subprocess
import sys
from dataclasses import is_dataclass
from typing import get_type_hints

import pytest
from omegaconf import OmegaConf

from tests.launches import PATIENCE_SECONDS, ROOT
from tests.refusals import refused
from verl_dots.config import PRESETS, DotsConfig
from verl_dots.launch.compose import compose, require_overrides
from verl_dots.launch.help import first_sentence, help_text
from verl_dots.main import main
from verl_dots.settings import choices_of, settings_table

pytestmark = pytest.mark.usefixtures("cpu_environment")


def run(*arguments):
    command = [sys.executable, "-m", "verl_dots.main", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "override, key, reason",
    [
        ("device=tpu", "device", "choice"),
        ("preset=dapo", "preset", "choice"),
        ("dots.preset=dapo", "dots.preset", "choice"),
        ("dots=null", "", "type"),
        ("+preset=dots", "", "type"),
        ("dots.adarft.alpha=2", "dots.adarft.alpha", "renamed"),
        ("data.train_batchsize=3", "data.train_batchsize", "unknown"),
    ],
)
def test_an_override_that_hydra_does_not_take_is_explained(override, key, reason):
    with refused(key, reason):
        compose(["device=cpu", override])


@pytest.mark.parametrize(
    ("word", "key", "reason"),
    [
        ("~actor_rollout_ref.rollout.n", "actor_rollout_ref.rollout.n", "missing"),
        ("~dots.seed", "dots.seed", "missing"),
        ("~trainer", "trainer", "missing"),
        ("dots.selection.enable", "dots.selection.enable", "unknown"),
    ],
)
def test_a_word_that_sets_nothing_is_refused(word, key, reason, monkeypatch):
    with refused(key, reason):
        require_overrides(["device=cpu", word])
    monkeypatch.setattr("sys.argv", ["verl_dots", "device=cpu", word])
    with pytest.raises(SystemExit, match=re.escape(word)):
        main()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("ray_kwargs.ray_init.runtime_env=5", "ray_kwargs.ray_init.runtime_env=5: must be a group of settings"),
        ("ray_kwargs.ray_init=5", "ray_kwargs.ray_init=5: must be a group of settings"),
        ("+ray_kwargs.ray_init.runtime_env.env_vars=5", "runtime_env.env_vars is of type int: must be a group"),
        ("trainer=null", "trainer=null: must be a group of settings"),
        ("trainer.nnodes=${nope}", "trainer.nnodes: cannot be resolved"),
        ("trainer.nnodes=???", "trainer.nnodes is not set: must be a whole number of 1 or more"),
        ("actor_rollout_ref.rollout.full_determinism=${nope}", "rollout.full_determinism: cannot be resolved"),
        ("+mine=${nope}", "cannot be resolved: Interpolation key 'nope' not found"),
    ],
)
def test_what_the_warm_workers_would_ask_for_is_refused_in_the_words_of_its_check(override, told, monkeypatch):
    """They start before the checks."""
    monkeypatch.setattr("sys.argv", ["verl_dots", "device=cpu", override])
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).startswith("verl_dots: ") and told in str(ended.value)


def test_what_no_check_reads_can_be_taken_away():
    words = ["device=cpu", "~actor_rollout_ref.rollout.engine_kwargs.vllm", "~reward.sandbox_fusion"]
    require_overrides(words)
    assert "vllm" not in compose(words).actor_rollout_ref.rollout.engine_kwargs


def test_the_command_ends_before_ray_with_one_clear_line():
    done = run("device=cpu", "dots.sede=3")
    assert done.returncode == 1
    assert "verl_dots: unknown config key 'dots.sede'; did you mean 'dots.seed'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ray init" not in done.stdout


def test_the_config_can_be_shown(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["verl_dots", "device=cpu", "dots.seed=7", "--cfg", "job", "--resolve"])
    main()
    shown = capsys.readouterr().out
    # One seed for everything that draws.
    assert "trainer_mode: dots" in shown and shown.count("seed: 7") >= 3


def test_a_preset_fills_in_its_methods_settings_under_every_other_override():
    config = compose(["device=cpu", "dots.replay.delta=0.25", "dots.preset=all", "dots.selection.mu=7"])
    enabled = {name for name, group in config.dots.items() if OmegaConf.is_dict(group) and group.get("enable")}
    assert enabled == {"selection", "replay", "adarft", "temperature", "filter"}
    assert (config.dots.preset, config.dots.selection.mu, config.dots.replay.delta) == ("all", 7, 0.25)
    assert "device" not in config and config.trainer.device == "cpu"


def test_help_is_the_group_dots():
    done = run("--help")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) <= 220 and max(map(len, lines)) <= 120
    assert "  references = 256           K, questions drawn uniformly" in done.stdout
    assert "  least, most = 4, 12        rollouts of a question" in done.stdout
    for group in ("dots", *(f"dots.{name}" for name, kind in get_type_hints(DotsConfig).items() if is_dataclass(kind))):
        assert f"\n{group}: " in done.stdout
    for word in (*(f"\n  {preset:<8} " for preset in PRESETS), "device=cpu|gpu", "--cfg job", "verl.readthedocs.io"):
        assert word in done.stdout


def test_the_help_tells_every_name_that_a_setting_takes_and_cuts_at_full_stops_alone():
    flat = " ".join(help_text().split())
    found = {}
    for keys, _, text in settings_table(DotsConfig, "dots"):
        group, _, name = keys[0].removeprefix("dots.").rpartition(".")
        kind = get_type_hints(DotsConfig)[group] if group else DotsConfig
        found[keys[0]] = choices_of(kind, name)
        assert first_sentence(text) in flat
        shown = flat[flat.index(first_sentence(text)) :][: len(text) + 100]
        assert keys == ["dots.preset"] or all(name in shown for name in found[keys[0]]), keys
    assert found["dots.replay.overlap"] == ("none", "batch", "buffer") and found["dots.console"] == ("lines", "full")
    assert found["dots.difficulty.cache"] == found["dots.seed"] == ()
    assert "where a question may be twice. One of: none, batch, buffer." in flat
    assert first_sentence('x in (0, 1] ("a. B" too. C) [d. E]; f. Rest.') == 'x in (0, 1] ("a. B" too. C) [d. E]; f.'


def test_the_examples_of_the_help_can_be_composed():
    command = r"python -m verl_dots.main((?: [^\s[]+=\S+| \\\n +\S+=\S+)+)"
    examples = re.findall(command, help_text().replace(" ...", ""))
    assert len(examples) == 3
    for example in examples:
        overrides = example.replace("\\\n", " ").split()
        assert compose(overrides).dots.preset == next(word for word in overrides if "preset" in word).split("=")[1]
