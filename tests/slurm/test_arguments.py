"""What run.sbatch refuses before it starts anything; these need no SLURM."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.launches import ROOT

SCRIPT = ROOT / "recipes/slurm/run.sbatch"
RECIPE = "recipes/cpu/grpo.sh"


def refusal(*arguments: str, cwd: Path = ROOT, **variables: str) -> str:
    """The message with which it ends."""
    ours = ("SEED", "RUN", "METHOD", "OF", "VARIANT", "IMAGE")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM") and key not in ours}
    environment |= variables
    done = subprocess.run(["bash", str(SCRIPT), *arguments], cwd=cwd, env=environment, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize("arguments, message", [
    ([], "which recipe? sbatch [OPTION ...] recipes/slurm/run.sbatch recipes/cpu/grpo.sh [KEY=VALUE ...]"),
    (["recipes/cpu/gpro.sh"], f"there is no recipe 'recipes/cpu/gpro.sh' in {ROOT}"),
    ([RECIPE, "--nodes=2"], "'--nodes=2' is no override KEY=VALUE; options of sbatch stand before run.sbatch"),
    ([RECIPE, "trainer.save_freq=5", "quick"], "'quick' is no override KEY=VALUE, and stands after one"),
    ([RECIPE, "trainer.default_local_dir=runs/x"], "name the run folder by RUN=FOLDER sbatch ..."),
    ([RECIPE, "dots.seed=2"], "set the seed by SEED=NUMBER sbatch ..., or several by sbatch --array=1-3 ..."),
    ([RECIPE, "trainer.nnodes=2"], "the nodes are the job's, sbatch --nodes=NUMBER"),
    ([RECIPE, "++trainer.nnodes=2"], "'++trainer.nnodes=2': the nodes are the job's, sbatch --nodes=NUMBER"),
    ([RECIPE, "trainer.resume_mode=disable"], "'trainer.resume_mode=disable': a job that is requeued would begin"),
    ([RECIPE, "++trainer.resume_mode=resume_path"], "its checkpoint into that one first: mkdir -p FOLDER && ln -s"),
    (["recipes/e3/1.5b.sh", "dops"], "METHOD is 'dops'; give one of grpo dapo entropy"),
    (["recipes/e3/1.5b.sh", "dops"], "recipes/e3/1.5b.sh does not take dops"),
])  # fmt: skip
def test_refused_with_what_to_do(arguments, message):
    assert message in refusal(*arguments)


@pytest.mark.parametrize("words, environment, folder", [
    ([RECIPE, "trainer.save_freq=5", "~trainer.logger"], {}, "runs/cpu/grpo-seed1"),
    ([RECIPE, "trainer.resume_mode=auto"], {}, "runs/cpu/grpo-seed1"),
    ([RECIPE], {"SEED": "4"}, "runs/cpu/grpo-seed4"),
    ([RECIPE], {"METHOD": "ppo"}, "runs/cpu/grpo-seed1"),
    ([str(ROOT / RECIPE)], {}, "runs/cpu/grpo-seed1"),
    (["recipes/e3/1.5b.sh", "dapo", "trainer.save_freq=5"], {}, "runs/e3/1.5b/dapo-seed1"),
    (["recipes/e3/1.5b.sh"], {"METHOD": "grpo"}, "runs/e3/1.5b/grpo-seed1"),
    (["recipes/e3/1.5b.sh", "e3"], {"METHOD": "grpo", "SEED": "2"}, "runs/e3/1.5b/e3-seed2"),
    (["recipes/dots/ablation.sh", "k"], {}, "runs/dots/math-1.5b_math/dots_rr-k128-seed1"),
    (["recipes/dots/ablation.sh", "k", "64"], {"OF": "3b_deepmath"}, "runs/dots/3b_deepmath/dots_rr-k64-seed1"),
    (["recipes/cpu/ablation.sh", "delta", "0.75"], {"SLURM_ARRAY_TASK_ID": "2"}, "runs/cpu/dots_rr-delta0.75-seed2"),
    (["recipes/dots/predictor.sh"], {}, "runs/dots/predictor-seed1"),
    ([RECIPE], {"RUN": "runs/mine", "SEED": "4"}, "runs/mine"),
    ([RECIPE], {"SLURM_ARRAY_TASK_ID": "3", "SEED": "4"}, "runs/cpu/grpo-seed3"),
    ([RECIPE], {"SLURM_ARRAY_TASK_ID": "3", "RUN": "runs/mine"}, "runs/mine-seed3"),
])  # fmt: skip
def test_the_run_folder_is_named_after_recipe_method_and_seed(words, environment, folder):
    told = f"this trains in {folder}, as a job of SLURM: sbatch [OPTION ...] recipes/slurm/run.sbatch {words[0]}"
    assert told in refusal(*words, **environment)


@pytest.mark.parametrize("words, environment, folder", [
    ([], {}, "runs/own-seed1"),
    (["quick", "small", "x=1"], {}, "runs/own/quick-small-seed1"),
    ([], {"METHOD": "grpo"}, "runs/own/grpo-seed1"),
    (["e3"], {"METHOD": "grpo"}, "runs/own/e3-seed1"),
])  # fmt: skip
def test_a_recipe_that_does_not_know_dry_run_is_not_asked(tmp_path, words, environment, folder):
    file = tmp_path / "own.sh"
    file.write_text(f"touch {tmp_path}/was_run\n")
    assert f"this trains in {folder}, as a job of SLURM" in refusal(str(file), *words, **environment)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("line, refused", [
    ("python -m verl_dots.main trainer.resume_mode=disable", True),
    ("python -m verl_dots.main trainer.resume_mode=auto  # trainer.resume_mode=disable begins anew", False),
])  # fmt: skip
def test_a_recipe_of_ones_own_resumes_too(tmp_path, line, refused):
    file = tmp_path / "own.sh"
    file.write_text(f"{line}\n")
    assert ("'trainer.resume_mode=disable': a job that is requeued" in refusal(str(file))) == refused


def test_must_begin_in_the_root_of_the_checkout(tmp_path):
    told = f"{tmp_path} is not the root of the checkout: submit from there, or sbatch --chdir=ROOT"
    assert told in refusal(RECIPE, cwd=tmp_path)
