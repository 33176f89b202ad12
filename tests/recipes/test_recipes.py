"""The recipes of the papers: every one is accepted as it stands, and has the paper's settings."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from scripts.recipe_difference import RecipeError, overrides_of
from tests.recipes.recipe_runs import (
    METHODS,
    NOT_ON_TESTBED,
    ON_TESTBED,
    RECIPES,
    Recipe,
    ablations,
    every_recipe,
    one_of_each,
    settings,
)
from tests.refusals import refused
from verl_dots.launch.compose import compose

pytestmark = pytest.mark.usefixtures("cpu_environment")
RUN_NAMES = {"trainer.default_local_dir", "trainer.experiment_name"}


def check(config) -> None:
    """As at the start of a run: by verl_dots and by verl."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from verl_dots.launch.start import validate

    validate(config)
    validate_config(config, need_reference_policy(config), need_critic(config))


@pytest.mark.parametrize("recipe", one_of_each(), ids=str)
def test_a_recipe_is_accepted_by_this_project_and_by_verl(composed, recipe):
    config = composed(recipe)
    check(config)
    assert config.trainer.default_local_dir.startswith("runs/")
    # An older checkpoint stays until the next but one is complete.
    assert (config.trainer.max_actor_ckpt_to_keep, config.trainer.max_critic_ckpt_to_keep) == (2, 2)


@pytest.mark.long
@pytest.mark.parametrize("recipe", every_recipe(), ids=str)
def test_all_methods_of_all_settings_are_accepted(composed, recipe):
    check(composed(recipe))


def test_the_testbed_has_every_method_and_every_ablation():
    names = {Path(script).stem for script in settings("cpu")}
    methods = {(folder, method) for folder in METHODS for method in METHODS[folder] if method not in NOT_ON_TESTBED}
    assert {ON_TESTBED.get(each, each[1]) for each in methods} <= names
    keys = [{name: (method, key) for name, (method, key, _) in ablations(folder).items()} for folder in ("dots", "cpu")]
    assert keys[0] == keys[1] and len(keys[0]) == 7
    readme = (RECIPES / "README.md").read_text()
    for name, (_, key, value) in ablations("dots").items():
        assert name == "static" or f"| `{name}` | `{key}` | {value} | {ablations('cpu')[name][2]} |" in readme


def test_no_two_recipes_train_in_one_folder():
    folders = [
        next(o for o in recipe.overrides() if o.startswith("trainer.default_local_dir=")) for recipe in one_of_each()
    ]
    assert len(set(folders)) == len(folders)
    assert "trainer.default_local_dir=runs/cpu/dots_rr-k4-seed1" in folders
    assert "trainer.default_local_dir=runs/dots/math-1.5b_math/dots_rr-k128-seed1" in folders


@pytest.mark.parametrize("folder", ["dots", "cpu"])
@pytest.mark.parametrize("name", ["k", "alpha", "tau", "delta", "c", "reuse"])
@pytest.mark.parametrize("value", [(), ("0.75",)])
def test_an_ablation_changes_one_setting_of_dots_rr(folder, name, value):
    _, key, default = ablations(folder)[name]
    whole = Recipe("cpu/dots_rr.sh") if folder == "cpu" else Recipe("dots/math-1.5b_math.sh", ("dots_rr",))
    ours, theirs = Recipe(f"{folder}/ablation.sh", (name, *value)).given("dots.seed=3"), whole.given("dots.seed=3")
    changed = {each: ours[each] for each in ours if ours[each] != theirs.get(each) and each not in RUN_NAMES}
    # At delta 0.25 a batch of 512 replays 384 groups: more than the usual buffer of 256 holds.
    more = {"dots.replay.capacity": "512"} if (folder, key, value) == ("dots", "dots.replay.delta", ()) else {}
    assert changed == {key: (*value, default)[0], **more}
    assert ours["trainer.experiment_name"] == f"dots_rr-{name}{(*value, default)[0]}"


@pytest.mark.parametrize(("delta", "capacity"), [("0.5", None), ("0.499", "512"), (".3", "512")])
def test_a_buffer_that_is_replayed_whole_is_large_enough(delta, capacity):
    assert Recipe("dots/ablation.sh", ("delta", delta)).given().get("dots.replay.capacity") == capacity
    assert (
        Recipe("dots/ablation.sh", ("delta", delta)).given("dots.replay.capacity=400")["dots.replay.capacity"] == "400"
    )


def test_a_static_curriculum_is_an_ablation_of_grpo(config_of):
    for config, folder, last in (
        (config_of("dots/ablation.sh", "static"), "runs/dots/math-1.5b_deepscaler", 100),
        (config_of("cpu/ablation.sh", "static"), "runs/cpu", 10),
    ):
        adarft = config.dots.adarft
        assert (adarft.enable, adarft.follow, adarft.range[1]) == (True, "schedule", last)
        assert (config.dots.selection.enable, config.dots.replay.enable) == (False, False)
        assert config.trainer.default_local_dir == f"{folder}/grpo-static-seed1"


def test_dots_predicts_by_the_papers_predictor_or_by_this_projects():
    recipe = Recipe("dots/3b_deepmath.sh", ("dots_rr",))
    assert {key: value for key, value in recipe.given().items() if key.startswith("dots.difficulty")} == {
        "dots.difficulty.predictor": "attention",
        "dots.difficulty.checkpoint": "predictors/dots",
        "dots.difficulty.backbone": "Qwen/Qwen2.5-Math-1.5B-Instruct",
    }
    assert not any(key.startswith("dots.difficulty") for key in recipe.given(PREDICTOR="online"))


def test_an_ablation_of_another_setting():
    given = Recipe("dots/ablation.sh", ("k", "128")).given(OF="3b_deepmath")
    assert given["actor_rollout_ref.model.path"] == "Qwen/Qwen2.5-3B"
    assert given["trainer.default_local_dir"] == "runs/dots/3b_deepmath/dots_rr-k128-seed1"


@pytest.mark.parametrize("folder", ["dots", "cpu"])
def test_an_unknown_ablation_is_refused_with_those_there_are(folder):
    for arguments, told in ((("tou", "1"), "NAME is 'tou'"), ((), "NAME is ''"), (("a=1",), "NAME is 'a=1'")):
        with pytest.raises(RecipeError, match=told) as refused:
            Recipe(f"{folder}/ablation.sh", arguments).overrides()
        lines = str(refused.value).splitlines()[-7:]
        assert [tuple(line.split()) for line in lines] == [
            (name, f"{key}={value}", "with", method) for name, (method, key, value) in ablations(folder).items()
        ]
    with pytest.raises(RecipeError, match="static takes no value; '0.5' was given"):
        Recipe(f"{folder}/ablation.sh", ("static", "0.5")).overrides()


def test_a_step_of_the_testbed_has_64_rollouts_and_its_runs_the_same_questions(config_of):
    for script in settings("cpu"):
        config = config_of(script)
        batch, steps = config.data.train_batch_size, config.trainer.total_training_steps
        updates = config.dots.preemptive.updates or 1
        sampled = config.dots.preemptive.prompts if updates > 1 else batch
        assert sampled * config.actor_rollout_ref.rollout.n == 64
        assert steps / updates == 60
        if config.dots.temperature.enable:  # the target entropy is of as many questions as two of the paper's batches
            assert config.dots.temperature.warm_up * batch == 128


def test_dash_saves_five_times_however_many_updates_it_makes_of_a_batch(config_of):
    trainers = [config_of("dash/0.5b.sh", "dash").trainer, config_of("dash/3b.sh", "multi").trainer]
    trainers.append(config_of("dash/0.5b.sh", "mini").trainer)
    assert [-(-each.total_training_steps // each.save_freq) for each in trainers] == [5, 5, 5]


def test_the_evaluation_of_the_readme_is_accepted(config_of):
    from verl_dots.evaluation.configure import check_sampling, parse

    text = (RECIPES / "README.md").read_text()
    command = text[text.index("python -m verl_dots.evaluate") :].split("\n```")[0]
    # As bash reads it: lines that go on, and braces.
    words = subprocess.run(
        ["bash", "-c", f'python() {{ printf "%s\\0" "$@"; }}\n{command}'], capture_output=True, text=True, check=True
    ).stdout.split("\0")[:-1]
    options = parse(words[2:], "")
    assert (options.checkpoint, options.rollouts) == ("runs/e3/1.5b/e3-seed1", 16)
    assert options.data == [f"data/{name}.parquet" for name in ("aime24", "amc23", "math500", "olympiadbench")]
    config, trained = compose(options.overrides), config_of("e3/1.5b.sh", "e3")
    check_sampling(config.actor_rollout_ref.rollout.val_kwargs)
    assert config.actor_rollout_ref.rollout.val_kwargs.temperature == 1.0
    for length in ("max_prompt_length", "max_response_length"):
        assert config.data[length] == trained.data[length]


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


def test_a_typo_in_an_override_is_refused():
    with refused("dots.selection.referenses", "unknown", "'dots.selection.references'"):
        Recipe("dots/math-1.5b_math.sh", ("dots_rr",)).config("dots.selection.referenses=3")


def test_a_dry_run_prints_the_command_and_nothing_else():
    command = ["bash", str(RECIPES / "dash/3b.sh"), "dash", "trainer.logger=[console,wandb]"]
    done = subprocess.run(command, env=dict(os.environ, DRY_RUN="1"), capture_output=True, text=True, cwd="/")
    words = shlex.split(done.stdout)
    assert (done.returncode, done.stderr, words[:3]) == (0, "", ["python", "-m", "verl_dots.main"])
    assert words[3:] == Recipe("dash/3b.sh", ("dash",)).overrides("trainer.logger=[console,wandb]")


def test_a_dry_run_on_the_testbed_makes_no_data_and_no_model(tmp_path):
    places = {"DATA": str(tmp_path / "data"), "MODEL": str(tmp_path / "model"), "RUN": str(tmp_path / "run")}
    done = subprocess.run(
        ["bash", str(RECIPES / "cpu/dots_rr.sh"), "x=1"], env=dict(os.environ, DRY_RUN="1", **places),
        capture_output=True, text=True,
    )  # fmt: skip
    words = shlex.split(done.stdout)
    assert (done.returncode, done.stderr, words[:4]) == (0, "", ["python", "-m", "verl_dots.main", "device=cpu"])
    assert f"trainer.default_local_dir={tmp_path}/run" in words
    assert words[-1] == "x=1"
    assert list(tmp_path.iterdir()) == []


def test_the_predictor_is_trained_on_the_labels_of_models_that_are_not(tmp_path):
    environment = dict(os.environ, DRY_RUN="1", LABELLERS="a/one b/two", PREDICTOR="my/predictor")
    done = subprocess.run(
        ["bash", str(RECIPES / "dots/predictor.sh"), "math", "orz"], env=environment, capture_output=True, text=True
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[2] for line in lines] == ["verl_dots.difficulty.collect"] * 4 + ["verl_dots.difficulty.train"]
    labels = ["labels/math-one.parquet", "labels/math-two.parquet", "labels/orz-one.parquet", "labels/orz-two.parquet"]
    assert lines[4][3:7] == labels

    from verl_dots.difficulty.train import parse as parse_train
    from verl_dots.labelling.command import parse as parse_collect

    asked, trained = parse_collect(lines[0][3:]), parse_train(lines[4][3:])
    assert (asked.model, str(asked.out), asked.rollouts) == ("a/one", labels[0], 8)
    assert (trained.preset, str(trained.out), trained.epochs, trained.references, trained.seeds) == (
        "paper", "my/predictor", 20, 256, [1],
    )  # fmt: skip
