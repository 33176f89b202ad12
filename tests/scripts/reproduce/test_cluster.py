"""The papers' runs on a cluster: hours by hand, and a task of an array for each run, which its recipe knows."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from scripts.reproduce import cluster
from scripts.reproduce.cluster import Row
from scripts.reproduce.matrix import MatrixError
from tests.launches import ROOT, environment
from tests.recipes.recipe_runs import METHODS, Recipe, settings
from tests.refusals import refused
from tests.slurm.test_arguments import refusal
from verl_dots.evidence import papers
from verl_dots.evidence.cells import Figure

GPU = ROOT / "recipes/evidence/gpu.yaml"
ROWS, SEEDS = cluster.read_rows(GPU, None)
FILE = {
    "seeds": [1, 2],
    "gpus": {"fast": {"factors": {"slow": 0.25}}},
    "papers": {"dots": {"methods": ["grpo", "dots"], "gpus": 8, "steps": 60, "source": "the\npaper"}},
    "rows": {
        "dots/a": {"seconds": {"grpo": 120, "dots": 60}, "paper_gpu": "slow", "times": {"size": 2, "length": 1.5}},
        "dots/b": {"hours": {"grpo": 10, "dots": 8}, "paper_gpu": "other", "gpus": 4},
    },
}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    (tmp_path / "gpu.yaml").write_text(yaml.dump(FILE, sort_keys=False))
    return tmp_path / "gpu.yaml"


def test_hours_are_steps_times_seconds_times_factors(file):
    # 120 s x 60 steps are 2 h; twice the size and 1.5 times the length make it 6 h.
    a, b = cluster.read_rows(file, None)[0]
    assert (a.hours, a.gpus, a.source) == ({"grpo": 6.0, "dots": 3.0}, 8, "the paper")
    assert (b.hours, b.gpus) == ({"grpo": 10.0, "dots": 8.0}, 4)
    a, b = cluster.read_rows(file, "fast")[0]
    assert a.hours == {"grpo": 1.5, "dots": 0.75} and b.hours["grpo"] == 10, "of that GPU nothing is known"
    with pytest.raises(MatrixError, match="--gpu: there is no 'fest'; did you mean fast?"):
        cluster.read_rows(file, "fest")
    with pytest.raises(MatrixError, match="--gpu: there is no 'like'; did you mean fast?"):
        cluster.read_rows(file, "like")


def test_what_is_said_of_the_hours_names_no_key_of_the_file():
    assert [row.source for row in ROWS if "`" in row.source] == []


def test_on_an_h100_the_papers_hours_are_multiplied_by_the_factor_of_their_gpu():
    """60 steps of 234 s on 8 L40S are 3.9 h: 1.17 h at 0.3. 126.82 s on A100: at 0.5, as what DASH does not name."""
    hours = {row.recipe: row.hours for row in cluster.read_rows(GPU, "h100")[0]}
    assert hours["dots/math-1.5b_math"]["grpo"] == pytest.approx(1.17)
    assert hours["adarft/math-1.5b_uniform"]["ppo"] == pytest.approx(1.761, abs=5e-4)
    assert hours["dash/0.5b"] == {"grpo": 19.45, "no_filter": 3.45, "dash_kl": 3.3, "dash": 2.85}


def test_hours_are_those_of_the_papers_tables():
    """What the papers print of time and hardware stands in papers.yaml; these hours are made of it."""
    tables, hours = papers.tables(), {row.recipe: row for row in ROWS}
    for row in tables["adarft_1"].rows:  # seconds of a step, of 100
        assert hours[row.setting].hours[row.method] * 36 == pytest.approx(row.cells[1].value), row
    told = [row for name in ("dash_3", "dash_6") for row in tables[name].rows if isinstance(row.cells[0], Figure)]
    assert len(told) == 9
    for row in told:
        assert hours[row.setting].hours[row.method] == row.cells[0].value, row
    assert tables["e3_1"].hardware == "8 A100 for 36 h (7B), 4 A100 for 24 h (1.5B)"
    for size, gpus, each in (("7b", 8, 36), ("1.5b", 4, 24)):
        row = hours[f"e3/{size}"]
        assert (row.gpus, row.hours["grpo"], row.hours["e3"], row.hours["dapo"]) == (gpus, each, each, 2 * each)
    h100 = {row.recipe: row.hours for row in cluster.read_rows(GPU, "h100")[0]}
    assert h100["e3/7b"]["e3"] == 18, "half of an A100's"


def test_each_recipe_is_an_array_of_its_unfinished_tasks(file, tmp_path):
    rows, seeds = cluster.read_rows(file, None)
    tasks = cluster.tasks_of(rows, seeds)
    assert [cluster.task_line(*task) for task in tasks[:5]] == [
        "1 recipes/dots/a.sh grpo", "1 recipes/dots/a.sh dots", "2 recipes/dots/a.sh grpo", "2 recipes/dots/a.sh dots",
        "1 recipes/dots/b.sh grpo",
    ]  # fmt: skip
    done = tmp_path / "runs/dots/a/dots-seed1"
    done.mkdir(parents=True)
    (done / "run.json").write_text('{"finished": "2026-01-01T00:00:00"}')
    first, second = cluster.submissions(tasks, Path("t.txt"), tmp_path, ["--partition=x"])
    assert first == [
        "sbatch", "--job-name=dots-a", "--array=1,3-4", "--gpus-per-node=8", "--cpus-per-task=64", "--mem=0",
        "--time=9:00:00", "--export=ALL,TASKS=t.txt", "--partition=x", "recipes/slurm/run.sbatch",
    ]  # fmt: skip
    assert second[2:6] == ["--array=5-8", "--gpus-per-node=4", "--cpus-per-task=32", "--time=15:00:00"]


def test_every_recipe_of_the_papers_has_a_row_and_every_method_is_known():
    assert {f"{row.recipe}.sh" for row in ROWS} == {script for paper in METHODS for script in settings(paper)}
    assert all(set(row.hours) <= set(METHODS[row.recipe.split("/")[0]]) for row in ROWS)
    assert all(hours > 0 for row in ROWS for hours in row.hours.values()) and SEEDS == [1, 2, 3]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.recipe)
def test_a_task_trains_in_the_folder_that_is_looked_at_on_the_gpus_that_are_asked_for(row):
    for method in row.hours:
        given = Recipe(f"{row.recipe}.sh", (method,)).given(SEED="3")
        assert given["trainer.default_local_dir"] == str(cluster.run_folder(row, method, 3))
        assert given["trainer.n_gpus_per_node"] == str(row.gpus)


def test_a_task_of_the_array_is_the_line_of_its_number(tmp_path):
    tasks = cluster.tasks_of([Row("e3/1.5b", 4, {"grpo": 1.0, "dapo": 1.0}, "")], [1, 2])
    listed = tmp_path / "tasks.txt"
    listed.write_text("".join(cluster.task_line(*task) + "\n" for task in tasks))
    cut = tmp_path / "cut.txt"  # as an editor may leave it: the last line does not end
    cut.write_text(listed.read_text().rstrip("\n"))
    for number, folder in enumerate(("grpo-seed1", "dapo-seed1", "grpo-seed2", "dapo-seed2"), start=1):
        for file in (listed, cut):
            told = refusal(TASKS=str(file), SLURM_ARRAY_TASK_ID=str(number))
            assert f"this trains in runs/e3/1.5b/{folder}, as a job of SLURM" in told
    assert "has no line 5" in refusal(TASKS=str(listed), SLURM_ARRAY_TASK_ID="5")
    assert "has no line : submit it by sbatch --array=1-LINES" in refusal(TASKS=str(listed))
    assert "names the recipes; 'recipes/e3/7b.sh' was given as well" in refusal("recipes/e3/7b.sh", TASKS=str(listed))
    assert "leave RUN out" in refusal(TASKS=str(listed), SLURM_ARRAY_TASK_ID="1", RUN="runs/mine")


def test_what_would_be_submitted_is_shown_and_what_is_submitted_is_that(tmp_path):
    """With an sbatch that notes its words, in place of SLURM's."""
    (tmp_path / "sbatch").write_text(f'#!/bin/sh\necho "sbatch $*" >> {tmp_path}/told\n')
    (tmp_path / "sbatch").chmod(0o755)
    for folder in ("scripts", "recipes"):
        (tmp_path / "checkout" / folder).mkdir(parents=True)
    (tmp_path / "checkout/recipes/e3").symlink_to(ROOT / "recipes/e3")
    (tmp_path / "checkout/recipes/evidence").symlink_to(ROOT / "recipes/evidence")
    (tmp_path / "checkout/scripts/__init__.py").touch()
    (tmp_path / "checkout/scripts/reproduce").mkdir()
    for file in (ROOT / "scripts/reproduce").glob("*.py"):
        (tmp_path / "checkout/scripts/reproduce" / file.name).write_text(file.read_text())

    def run(*options: str) -> str:
        words = [sys.executable, "-m", "scripts.reproduce", "--scale", "gpu", "--combinations", "e3/1.5b", *options]
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            words, cwd=tmp_path / "checkout", env=environment(PATH=path), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = run("--methods", "grpo", "e3")
    assert not (tmp_path / "told").exists()
    (would,) = (tmp_path / "checkout/runs/reproduce-gpu").iterdir()  # what the shown commands name is there
    assert f"TASKS=runs/reproduce-gpu/{would.name}" in shown
    # 24 h on 4 GPUs, of two methods with three seeds.
    assert "grpo 96, e3 96" in shown and "576" in shown and "not measured here" in shown
    assert "python -m data_prep.e3 --source E3-RL4LLMs/dataset/train_data.parquet" in shown
    run("--methods", "grpo", "e3", "--submit")
    (told,) = (tmp_path / "told").read_text().splitlines()
    assert told in shown
    (listed,) = (tmp_path / "checkout/runs/reproduce-gpu").iterdir()
    assert f"TASKS=runs/reproduce-gpu/{listed.name}" in told
    assert listed.read_text().splitlines()[:2] == ["1 recipes/e3/1.5b.sh grpo", "1 recipes/e3/1.5b.sh e3"]


def test_no_seed_is_submitted_twice():
    with refused("--seeds", "range", "1 1", kind=MatrixError):
        cluster.main(Namespace(gpu=None, seeds=[1, 1]), GPU, ROOT)
