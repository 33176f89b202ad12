"""Every run that the doctor makes would be accepted, with no, one and eight GPUs: composed and checked before Ray."""

from pathlib import Path

import pytest

from tests.launches import ROOT
from verl_dots.config import PRESETS
from verl_dots.doctor import launching, life, runs
from verl_dots.doctor.checks import CHECKS
from verl_dots.doctor.context import CheckFailed, Context
from verl_dots.doctor.engine import engine_overrides
from verl_dots.launch import attention_checks, machine_checks
from verl_dots.launch.compose import compose
from verl_dots.launch.machine_checks import check_machine
from verl_dots.launch.recipes import overrides_of
from verl_dots.launch.start import validate

pytestmark = pytest.mark.usefixtures("cpu_environment")
TRAINING = [check for check in CHECKS if check.level != "quick"]
RECIPES = {0: ("recipes/cpu/grpo.sh",), 1: ("recipes/dash/0.5b.sh", "dash"), 8: ("recipes/adarft/7b_easy.sh", "ppo")}


class Composed(Exception):
    """A run would start now."""


def of_machine(gpus: int, work: Path) -> Context:
    """A context for so many GPUs, of a recipe with the testbed's model and questions."""
    script, *method = RECIPES[gpus]
    made = Context(str(work), script, ("device=cpu",), 0)
    questions, model = made.questions(), made.tiny_model()
    own = [
        f"data.train_files={questions}/train.parquet", f"data.val_files={questions}/val.parquet",
        f"actor_rollout_ref.model.path={model}", f"critic.model.path={model}",
        "data.max_prompt_length=1024", f"trainer.default_local_dir={work}/recipe",
    ]  # fmt: skip
    given = overrides_of(ROOT / script, *method, PREDICTOR="online", GPUS=str(gpus), MODEL=str(model))
    return Context(str(work), " ".join(RECIPES[gpus]), (*given, *own), gpus)


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """Shared, so that questions and model are made once."""
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture
def composed(monkeypatch) -> list[list[str]]:
    """Overrides of the runs that the checks would start, each of which ends its check."""
    found: list[list[str]] = []

    def train(overrides: list[str], folder: Path, log: Path):
        found.append(overrides)
        raise Composed

    for module in (launching, life):
        monkeypatch.setattr(module, "train", train)
    return found


def machine_with(gpus: int, monkeypatch) -> None:
    """This machine as one with GPUs and packages for them, where there are none. Nothing of them is used here."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    if gpus:
        monkeypatch.setattr("torch.version.cuda", "13.0")
        monkeypatch.setattr(machine_checks, "is_installed", lambda name: name == "vllm")


@pytest.mark.parametrize(("gpus", "flash_attention"), [(0, False), (1, False), (8, True)])
def test_every_run_is_accepted(gpus, flash_attention, work, composed, monkeypatch):
    machine_with(gpus, monkeypatch)
    for module in (attention_checks, launching, runs):
        monkeypatch.setattr(module, "has_flash_attention", lambda: flash_attention)
    context = of_machine(gpus, work)
    assert {f"preset_{name}" for name in PRESETS} | {"sync", "critic", "kl", "life", "stages"} == {
        check.name for check in TRAINING
    }
    for check in TRAINING:
        composed.clear()
        if gpus and not flash_attention and check.name in ("stages", "critic"):
            continue  # a recipe says itself which attention it takes, and verl loads no critic without flash-attn
        with pytest.raises(Composed):
            check.run(context)
        [overrides] = composed
        config = compose(overrides)
        validate(config, data=check.name == "sync")  # which is that of all
        check_machine(config)
    servers = compose([*engine_overrides(context), "data.train_files=null", "data.val_files=null"])
    validate(servers, data=False, train=False)
    check_machine(servers, train=False)


@pytest.mark.parametrize(("gpus", "outcome"), [(1, "warning"), (8, "fail")])
def test_without_flash_attention_a_critic_fails_where_the_recipe_has_one(gpus, outcome, work, composed, monkeypatch):
    """DASH has none, AdaRFT's PPO has."""
    monkeypatch.setattr(runs, "has_flash_attention", lambda: False)
    [row] = runs.critic(of_machine(gpus, work))
    assert (row.outcome, row.check) == (outcome, "critic") and "flash-attn" in row.value and row.fix
    assert composed == []


def test_a_run_that_ends_badly_is_told_with_its_last_line(tmp_path):
    context = Context(str(tmp_path), "r", ("device=cpu",), 0)
    with pytest.raises(CheckFailed, match="status 1: verl_dots: unknown config key 'no'"):
        launching.train([*context.overrides, "no.such.key=1"], tmp_path, tmp_path / "log")
