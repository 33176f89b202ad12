"""Runs for tests: inputs of real ones and of those that are only checked, one process a run, two runs compared."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path

from omegaconf import DictConfig
from transformers import Qwen2Config, Qwen2ForCausalLM

from data_prep import arithmetic
from data_prep.byte_tokenizer import build_tokenizer
from scripts.bad_inputs import question_row, write_rows  # noqa: F401  for the other tests
from scripts.faults.compare import computed, rows_of
from verl_dots.launch.compose import compose

ROOT = Path(__file__).parents[1]
# A run that shows nothing for so long hangs. Where other runs have the cores its start alone may take five minutes, so
# how long the whole of it takes is no sign.
SILENT_SECONDS = 420
# For what takes seconds on a machine that does nothing else.
PATIENCE_SECONDS = 600
LOSS = "actor_rollout_ref.actor.policy_loss.loss_mode"
GRPO_RR = {LOSS: "grpo_rr"}


@dataclass(frozen=True)
class Inputs:
    """Folders with the data set and the model."""

    data: Path
    model: Path

    def overrides(self, **more) -> list[str]:
        """A small GRPO run: 8 questions x 4 rollouts x up to 24 tokens a step, two updates on each batch.

        One mini-batch: stock verl splits a batch in order of arrival, which no two runs have in common.
        """
        settings = {
            "device": "cpu",
            "dots.console": "full",
            "data.train_files": self.data / "train.parquet",
            "data.val_files": self.data / "val.parquet",
            "data.train_batch_size": 8,
            "data.max_prompt_length": 112,
            "data.max_response_length": 24,
            "actor_rollout_ref.model.path": self.model,
            "actor_rollout_ref.actor.ppo_mini_batch_size": 8,
            "actor_rollout_ref.actor.ppo_epochs": 2,
            "actor_rollout_ref.actor.optim.lr": 1e-4,
            "actor_rollout_ref.rollout.n": 4,
            "trainer.test_freq": 2,
            "trainer.total_training_steps": 3,
            "trainer.resume_mode": "auto",
            **more,
        }
        return [f"{key}={value}" for key, value in settings.items()]

    def without_validation(self, run: Path, steps: int, *more: Mapping[str, object]) -> list[str]:
        """As many steps of that in a run folder, with further settings, of which the later ones count."""
        of_run = {"trainer.default_local_dir": run, "trainer.total_training_steps": steps}
        quiet = {"trainer.test_freq": -1, "trainer.val_before_train": False}
        return self.overrides(**reduce(or_, more, of_run | quiet))


def make_inputs(folder: Path, questions: int) -> Inputs:
    """That many training questions, 16 for validation, and a copy of the testbed's tiny model."""
    arithmetic.main(["--out", str(folder / "data"), "--train", str(questions), "--val", "16"])
    shutil.copytree(ROOT / "recipes" / "cpu" / "tiny_model", folder / "model")
    return Inputs(folder / "data", folder / "model")


def on(group: str, **settings: object) -> dict[str, object]:
    """Overrides that turn a group of `dots` on, with some of its settings."""
    return {f"dots.{group}.{name}": value for name, value in ({"enable": True} | settings).items()}


def save_untrained(folder: Path) -> None:
    """A model of one layer, with the tokenizer of the tiny one."""
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=300)
    Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2)).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)


@cache
def plain_config() -> DictConfig:
    """The config on a CPU without further overrides, composed once; for tests with `cpu_environment` to copy."""
    return compose(["device=cpu"])


def environment(**more: object) -> dict[str, str]:
    """Of a process that imports this checkout: this one's, and some variables more."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    own = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    return os.environ | own | {name: str(value) for name, value in more.items()}


def train(arguments: list, module: str = "verl_dots.main", **variables: object) -> subprocess.CompletedProcess:
    """Run a module in a process of its own; its output, which `overrides` shows in full, is in `stdout`."""
    return attended([sys.executable, "-m", module, *map(str, arguments)], environment(**variables))


def attended(command: list[str], variables: Mapping[str, str], silent: float = SILENT_SECONDS):
    """Run a command in the checkout and take its output; killed, and an error, once it has shown nothing for long."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=subprocess.STDOUT)
        said = -1
        while True:
            try:
                process.wait(silent)
                break
            except subprocess.TimeoutExpired:
                if said == (said := os.fstat(output.fileno()).st_size):
                    process.kill()
                    process.wait()
                    output.seek(0)
                    raise AssertionError(f"nothing for {silent:g} s after: {output.read()[-4000:]}") from None
        output.seek(0)
        return subprocess.CompletedProcess(command, process.returncode, output.read())


def must_train(arguments: list, module: str = "verl_dots.main", **variables: object) -> str:
    """As `train`, and fail with the end of the output if the run does."""
    done = train(arguments, module, **variables)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def cut_off(run: Path, step: int, to: Path) -> None:
    """A run folder as it is left by a run that ended right after it saved a step."""
    shutil.copytree(run / f"global_step_{step}", to / f"global_step_{step}")
    (to / "latest_checkpointed_iteration.txt").write_text(str(step))


def assert_same_rows(resumed: Path, whole: Path, steps: Iterable[int]) -> None:
    """A resumed run logged what an uninterrupted one did, bit for bit; the totals, too, which are in the checkpoint."""
    mine, theirs = rows_of(resumed), rows_of(whole)
    for step in steps:
        assert computed(mine[step]) == computed(theirs[step]), f"step {step}"


def assert_resumes(whole: Path, step: int, run: Path, overrides: list[str]) -> None:
    """What a run has saved after a step trains on in another folder as that run has."""
    cut_off(whole, step, run)
    must_train(overrides)
    later = [number for number in rows_of(whole) if number > step]
    assert later and sorted(rows_of(run)) == sorted(later)
    assert_same_rows(run, whole, later)


def rollouts_of(folder: Path, step: int) -> list[dict]:
    """What a step has written of its rollouts into `trainer.rollout_data_dir`."""
    return [json.loads(line) for line in (folder / f"{step}.jsonl").read_text().splitlines()]
