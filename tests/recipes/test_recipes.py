"""The recipes' scripts: their arguments and variables, what they refuse, and how they begin a training."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.recipes.recipe_runs import METHODS, ON_TESTBED, RECIPES, Recipe, ablations, one_of_each, settings
from tests.refusals import refused
from verl_dots.difficulty.train import parse as parse_train
from verl_dots.evaluation.configure import check_sampling, parse
from verl_dots.labelling.command import parse as parse_collect
from verl_dots.launch.compose import compose
from verl_dots.launch.recipes import RecipeError, overrides_of

RUN_NAMES = {"trainer.default_local_dir", "trainer.experiment_name"}


def test_the_testbed_has_every_method_and_every_ablation():
    names = {Path(script).stem for script in settings("cpu")}
    methods = {ON_TESTBED.get((folder, method), method) for folder in METHODS for method in METHODS[folder]}
    assert methods - {None} <= names
    keys = [{name: (method, key) for name, (method, key, _) in ablations(folder).items()} for folder in ("dots", "cpu")]
    assert keys[0] == keys[1] and len(keys[0]) == 9
    readme = (RECIPES / "README.md").read_text()
    for name, (_, key, value) in ablations("dots").items():
        assert name == "static" or f"| `{name}` | `{key}` | {value} | {ablations('cpu')[name][2]} |" in readme


@pytest.mark.parametrize("folder", ["dots", "cpu"])
@pytest.mark.parametrize("name", ["k", "alpha", "tau", "delta", "c", "age", "overlap", "reuse"])
@pytest.mark.parametrize("value", [(), ("0.75",)])
def test_an_ablation_changes_one_setting_of_dots_rr(folder, name, value):
    _, key, default = ablations(folder)[name]
    whole = Recipe("cpu/dots_rr.sh") if folder == "cpu" else Recipe("dots/math-1.5b_math.sh", ("dots_rr",))
    ours, theirs = Recipe(f"{folder}/ablation.sh", (name, *value)).given("dots.seed=3"), whole.given("dots.seed=3")
    changed = {each: ours[each] for each in ours if ours[each] != theirs.get(each) and each not in RUN_NAMES}
    assert changed == {key: (*value, default)[0]}
    assert ours["trainer.experiment_name"] == f"dots_rr-{name}{(*value, default)[0]}"


def test_dots_predicts_by_the_papers_predictor_or_by_this_projects():
    recipe = Recipe("dots/3b_deepmath.sh", ("dots_rr",))
    assert {key: value for key, value in recipe.given().items() if key.startswith("dots.difficulty")} == {
        "dots.difficulty.predictor": "attention",
        "dots.difficulty.checkpoint": "predictors/dots",
        "dots.difficulty.backbone": "Qwen/Qwen2.5-Math-1.5B-Instruct",
    }
    assert not any(key.startswith("dots.difficulty") for key in recipe.given(PREDICTOR="online"))


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize("predictor", ["online", "predictors/dots"])
def test_the_readme_embeds_beforehand_by_the_backbone_of_the_run(predictor):
    readme = (RECIPES / "README.md").read_text()
    told = re.findall(r"^python -m verl_dots.difficulty.embed data/math.parquet --backbone (\S+)", readme, re.MULTILINE)
    given = Recipe("dots/math-1.5b_math.sh", ("dots_rr",)).given(PREDICTOR=predictor)
    backbone = compose([f"{key}={value}" for key, value in given.items()]).dots.difficulty.backbone
    assert told[["online", "predictors/dots"].index(predictor)] == backbone


@pytest.mark.parametrize("method", ["dots", "dots_rr", "dots_rr_code", "grpo"])
def test_a_predictor_that_is_not_there_is_refused_before_anything_starts(method, tmp_path):
    """No python is started: there is none."""
    for name in ("bash", "dirname", "basename"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    command = ["/bin/bash", str(RECIPES / "dots/math-1.5b_math.sh"), method]

    def ended(**variables: str) -> tuple[int, str]:
        done = subprocess.run(command, env={"PATH": str(tmp_path), **variables}, capture_output=True, text=True)
        return done.returncode, done.stderr

    for given, value in (({}, "predictors/dots"), ({"PREDICTOR": "/none"}, "/none")):
        status, told = ended(**given)
        if method == "grpo":  # it has none
            assert (status, "PREDICTOR" in told) == (127, False), told
        else:
            assert status == 2 and told.startswith(f"math-1.5b_math.sh: PREDICTOR={value} is no folder here"), told
            assert "PREDICTOR=online" in told and "recipes/dots/predictor.sh" in told and told.count("\n") == 1
    for there in ("online", str(tmp_path)):
        status, told = ended(PREDICTOR=there)
        assert (status, "PREDICTOR" in told) == (127, False), told


@pytest.mark.parametrize("folder", ["dots", "cpu"])
def test_an_unknown_ablation_is_refused_with_those_there_are(folder):
    for arguments, told in ((("tou", "1"), "NAME is 'tou'"), ((), "NAME is ''"), (("a=1",), "NAME is 'a=1'")):
        with pytest.raises(RecipeError, match=told) as refused:
            Recipe(f"{folder}/ablation.sh", arguments).overrides()
        lines = str(refused.value).splitlines()[-9:]
        assert [tuple(line.split()) for line in lines] == [
            (name, f"{key}={value}", "with", method) for name, (method, key, value) in ablations(folder).items()
        ]
    with pytest.raises(RecipeError, match="static takes no value; '0.5' was given"):
        Recipe(f"{folder}/ablation.sh", ("static", "0.5")).overrides()


def test_the_evaluation_of_the_readme_is_accepted(cpu_environment):
    text = (RECIPES / "README.md").read_text()
    command = text[text.index("python -m verl_dots.evaluate") :].split("\n```")[0]
    # As bash reads it: lines that go on, and braces.
    words = subprocess.run(
        ["bash", "-c", f'python() {{ printf "%s\\0" "$@"; }}\n{command}'], capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]
    options = parse(words[2:], "")
    assert (options.checkpoint, options.rollouts) == ("runs/e3/1.5b/e3-seed1", 16)
    assert options.data == [f"data/{name}.parquet" for name in ("aime24", "amc23", "math500", "olympiadbench")]
    config, trained = compose(options.overrides), Recipe("e3/1.5b.sh", ("e3",)).given()
    check_sampling(config.actor_rollout_ref.rollout.val_kwargs)
    assert config.actor_rollout_ref.rollout.val_kwargs.temperature == 1.0
    for length in ("max_prompt_length", "max_response_length"):
        assert str(config.data[length]) == trained[f"data.{length}"]


def test_variables_change_what_they_say():
    environment = dict(
        NNODES="2", GPUS="4", TP="2", TOKENS="9000", SEED="7", STEPS="5", RUN="runs/mine", MODEL="my/model"
    )
    overrides = set(Recipe("adarft/7b_easy.sh", ("ppo",)).overrides(**environment))
    assert {
        "trainer.nnodes=2", "trainer.n_gpus_per_node=4", "actor_rollout_ref.rollout.tensor_model_parallel_size=2",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=9000", "critic.ppo_max_token_len_per_gpu=9000",
        "dots.seed=7", "trainer.total_training_steps=5", "trainer.default_local_dir=runs/mine",
        "actor_rollout_ref.model.path=my/model", "critic.model.path=my/model",
    } <= overrides  # fmt: skip
    attention = "++actor_rollout_ref.model.override_config.attn_implementation=sdpa"
    assert attention not in overrides
    assert attention in Recipe("dots/math-1.5b_math.sh", ("grpo",)).overrides(FLASH_ATTN="no")
    with pytest.raises(RecipeError, match="FLASH_ATTN is 'yes'; give no, or leave it out"):
        Recipe("dots/math-1.5b_math.sh", ("grpo",)).overrides(FLASH_ATTN="yes")
    overrides = Recipe("e3/7b.sh").overrides("a=1", METHOD="grpo", VALIDATION="x y", DATA="/d", TRAIN="t")
    assert {"data.val_files=[/d/x.parquet,/d/y.parquet]", "data.train_files=/d/t.parquet", "a=1"} <= set(overrides)


@pytest.mark.parametrize("recipe", one_of_each(), ids=str)
def test_a_recipe_gives_way_to_its_command_which_then_has_its_signals(recipe, tmp_path):
    """A shell that stays would die of a SIGTERM alone, and leave the training running."""
    told = tmp_path / "told"
    for name in ("data/train.parquet", "model/config.json"):  # of the testbed: nothing is to be made
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    command = tmp_path / "bin" / "python"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$$ $*" >> "{told}"\n')
    command.chmod(0o755)
    places = {"DATA": str(tmp_path / "data"), "MODEL": str(tmp_path / "model"), "PREDICTOR": "online"}
    path = f"{command.parent}:{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", str(RECIPES / recipe.script), *recipe.arguments], env=os.environ | places | {"PATH": path}
    ) as started:
        pass
    (line,) = told.read_text().splitlines()
    assert line.startswith(f"{started.pid} -m verl_dots.main ")


def test_a_wrong_method_is_refused_with_those_there_are():
    with pytest.raises(RecipeError, match="METHOD is 'dops'; give one of grpo dots dots_rr dots_rr_code"):
        Recipe("dots/math-1.5b_math.sh", ("dops",)).overrides()
    with pytest.raises(RecipeError, match="METHOD is ''; give one of grpo no_filter dash_kl dash multi mini"):
        Recipe("dash/3b.sh").overrides("a=1")
    with pytest.raises(RecipeError, match="trains nothing"):
        overrides_of(RECIPES / "dots/predictor.sh")


def test_a_typo_in_an_override_is_refused(cpu_environment):
    with refused("dots.selection.referenses", "unknown", "'dots.selection.references'"):
        compose(Recipe("dots/math-1.5b_math.sh", ("dots_rr",)).overrides("dots.selection.referenses=3"))


def dry_run(script: str, *arguments: str, **environment: str) -> list[list[str]]:
    """The words of each command that a recipe would run."""
    done = subprocess.run(
        ["bash", str(RECIPES / script), *arguments], env=dict(os.environ, DRY_RUN="1", **environment), cwd="/",
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return [shlex.split(line) for line in done.stdout.splitlines()]


def test_a_dry_run_prints_the_command_and_nothing_else(monkeypatch):
    (words,) = dry_run("dash/3b.sh", "dash", "trainer.logger=[console,wandb]")
    assert words[:3] == ["python", "-m", "verl_dots.main"]
    monkeypatch.setenv("DRY_RUN", "1")  # who asks for the overrides is given them all the same
    assert words[3:] == Recipe("dash/3b.sh", ("dash",)).overrides("trainer.logger=[console,wandb]")


def test_a_dry_run_on_the_testbed_makes_no_data_and_no_model(tmp_path):
    places = {"DATA": str(tmp_path / "data"), "MODEL": str(tmp_path / "model"), "RUN": str(tmp_path / "run")}
    (words,) = dry_run("cpu/dots_rr.sh", "x=1", **places)
    assert words[:4] == ["python", "-m", "verl_dots.main", "device=cpu"] and words[-1] == "x=1"
    assert f"trainer.default_local_dir={tmp_path}/run" in words
    assert list(tmp_path.iterdir()) == []


def test_overrides_of_a_job_go_to_the_labelling_whatever_the_data():
    """run.sbatch appends them to every recipe."""
    job = ("trainer.nnodes=2", "++ray_kwargs.ray_init.num_cpus=null")
    for words, name in (((), "deepscaler"), (("math",), "math")):
        collect, train = dry_run("dots/predictor.sh", *words, *job, LABELLERS="a/one")
        assert collect[3] == f"data/{name}.parquet" and collect[-2:] == list(job)
        assert not set(job) & set(train)


def test_the_predictor_is_trained_on_the_labels_of_models_that_are_not():
    commands = dry_run("dots/predictor.sh", "math", "orz", LABELLERS="a/one b/two", PREDICTOR="my/predictor")
    assert [words[2] for words in commands] == ["verl_dots.difficulty.collect"] * 4 + ["verl_dots.difficulty.train"]
    labels = ["labels/math-one.parquet", "labels/math-two.parquet", "labels/orz-one.parquet", "labels/orz-two.parquet"]
    assert commands[4][3:7] == labels
    asked, trained = parse_collect(commands[0][3:]), parse_train(commands[4][3:])
    assert (asked.model, str(asked.out), asked.rollouts) == ("a/one", labels[0], 8)
    assert (trained.preset, str(trained.out), trained.epochs, trained.references, trained.seeds) == (
        "paper", "my/predictor", 20, 256, [1],
    )  # fmt: skip
