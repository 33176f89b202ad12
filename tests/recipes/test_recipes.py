"""The recipes of the papers: every one is accepted as it stands, and has the paper's settings."""

import os
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.byte_tokenizer import build_tokenizer
from scripts.recipe_difference import RecipeError, overrides_of
from tests.recipes.recipe_runs import (
    METHODS,
    NOT_ON_TESTBED,
    ON_TESTBED,
    RECIPES,
    Recipe,
    every_recipe,
    one_of_each,
    scripts,
    settings,
)
from verl_dots.launch.compose import compose
from verl_dots.settings import ConfigError

pytestmark = pytest.mark.usefixtures("cpu_environment")
# Two rounds of DOTS at 512 questions a batch with 256 references; 1,024 of them of a difficulty in [10, 90].
QUESTIONS = 1400
FILES = (
    "math", "math_all", "deepscaler", "orz", "deepmath", "deepscaler_uniform", "deepscaler_difficult",
    "deepscaler_easy", "e3_train", "e3_valid", "gsm8k_test", "math500", "minerva", "olympiadbench", "amc23", "aime24",
    "train", "val",
)  # fmt: skip
DASH_ON_TESTBED = ("dash_no_filter", "dash_kl", "dash")
FLAT = {
    "lr": "actor_rollout_ref.actor.optim.lr", "batch": "data.train_batch_size", "n": "actor_rollout_ref.rollout.n",
    "mini_batch": "actor_rollout_ref.actor.ppo_mini_batch_size", "prompt": "data.max_prompt_length",
    "response": "data.max_response_length", "temperature": "actor_rollout_ref.rollout.temperature",
    "top_p": "actor_rollout_ref.rollout.top_p", "steps": "trainer.total_training_steps",
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, str]:
    """Variables of the recipes: a folder with their data, and a model."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("recipes")
    question = {"data_source": "math", "ability": "math"}
    rows = [
        {
            **question,
            "prompt": [{"role": "user", "content": f"What is {i} plus 1?"}],
            "reward_model": {"style": "rule", "ground_truth": str(i + 1)},
            "extra_info": {"index": i, "difficulty": i / QUESTIONS * 100, "level": 1 + i % 10},
        }
        for i in range(QUESTIONS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "all.parquet")
    for name in FILES:
        (folder / f"{name}.parquet").symlink_to(folder / "all.parquet")
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=300)
    Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2)).save_pretrained(folder / "model")
    build_tokenizer().save_pretrained(folder / "model")
    names = {"DATA": folder, "MODEL": folder / "model", "CACHE": folder / "cache", "PREDICTOR": "online"}
    return {name: str(value) for name, value in names.items()}


@cache
def accepted(recipe: Recipe, places: tuple[tuple[str, str], ...], *more: str):
    """The config of a recipe, once verl_dots and verl have checked it."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from verl_dots.launch.start import validate

    environment = dict(places)
    config = recipe.config(f"dots.difficulty.cache={environment['CACHE']}", *more, **environment)
    validate(config)
    validate_config(config, need_reference_policy(config), need_critic(config))
    return config


def config_of(places: dict[str, str], script: str, *arguments: str):
    return accepted(Recipe(script, arguments), tuple(places.items()))


def of_method(places: dict[str, str], folder: str, method: str):
    """A method's config, in the setting in which it has been composed already."""
    known = (recipe for recipe in one_of_each() if recipe.script.startswith(folder) and recipe.arguments == (method,))
    return accepted(next(known), tuple(places.items()))


def facts(config) -> dict:
    """The settings that all papers name."""
    found = {}
    for name, key in FLAT.items():
        value = config
        for part in key.split("."):
            value = value[part]
        found[name] = value
    return found


@pytest.mark.parametrize("recipe", one_of_each(), ids=str)
def test_a_recipe_is_accepted_by_this_project_and_by_verl(places, recipe):
    assert accepted(recipe, tuple(places.items())).trainer.default_local_dir.startswith("runs/")


@pytest.mark.long
@pytest.mark.parametrize("recipe", every_recipe(), ids=str)
def test_all_methods_of_all_settings_are_accepted(places, recipe):
    assert accepted(recipe, tuple(places.items())).trainer.default_local_dir.startswith("runs/")


def test_the_settings_of_the_papers_are_there():
    listed = {folder: [Path(script).stem for script in settings(folder)] for folder in METHODS}
    assert listed == {
        "dots": ["3b_deepmath", "3b_deepscaler", "math-1.5b_deepscaler", "math-1.5b_math", "math-1.5b_orz"]
        + ["math-7b_deepscaler"],
        "adarft": ["7b_difficult", "7b_easy", "7b_uniform", "math-1.5b_difficult", "math-1.5b_easy"]
        + ["math-1.5b_uniform"],
        "e3": ["1.5b", "7b"],
        "dash": ["0.5b", "1.5b", "3b"],
    }


def test_the_testbed_has_every_method_and_every_ablation():
    names = {Path(script).stem for script in scripts("cpu")}
    methods = {(folder, method) for folder in METHODS for method in METHODS[folder] if method not in NOT_ON_TESTBED}
    assert {ON_TESTBED.get(each, each[1]) for each in methods} <= names
    ablations = {Path(script).stem for script in scripts("dots") if "ablation" in script}
    assert ablations == {name for name in names if name.startswith("ablation")}
    assert len(ablations) == 7


def test_no_two_recipes_train_in_one_folder():
    folders = [
        next(o for o in recipe.overrides() if o.startswith("trainer.default_local_dir=")) for recipe in one_of_each()
    ]
    assert len(set(folders)) == len(folders)
    assert "trainer.default_local_dir=runs/cpu/dots_rr-k4-seed1" in folders
    assert "trainer.default_local_dir=runs/dots/math-1.5b_math/dots_rr-k128-seed1" in folders


@pytest.mark.parametrize(
    ("script", "model", "data", "response"),
    [
        ("math-1.5b_math", "Qwen/Qwen2.5-Math-1.5B", "data/math.parquet", 3072),
        ("math-1.5b_deepscaler", "Qwen/Qwen2.5-Math-1.5B", "data/deepscaler.parquet", 3072),
        ("math-1.5b_orz", "Qwen/Qwen2.5-Math-1.5B", "data/orz.parquet", 3072),
        ("3b_deepscaler", "Qwen/Qwen2.5-3B", "data/deepscaler.parquet", 4096),
        ("3b_deepmath", "Qwen/Qwen2.5-3B", "data/deepmath.parquet", 4096),
        ("math-7b_deepscaler", "Qwen/Qwen2.5-Math-7B", "data/deepscaler.parquet", 3072),
    ],
)
def test_dots_six_combinations(script, model, data, response):
    overrides = Recipe(f"dots/{script}.sh", ("dots_rr",)).overrides()
    evaluation = ",".join(f"data/{name}.parquet" for name in ("gsm8k_test", "math500", "minerva", "olympiadbench"))
    assert {
        f"actor_rollout_ref.model.path={model}",
        f"data.train_files={data}",
        f"data.val_files=[{evaluation}]",
        f"data.max_response_length={response}",
        "dots.difficulty.predictor=attention",
        "dots.difficulty.backbone=Qwen/Qwen2.5-Math-1.5B-Instruct",
        "trainer.n_gpus_per_node=8",
    } <= set(overrides)


def test_dots_has_the_papers_settings(places):
    config = of_method(places, "dots", "dots_rr")
    assert facts(config) == {
        "lr": 1e-6, "batch": 512, "n": 8, "mini_batch": 64, "prompt": 1024, "response": 4096, "temperature": 0.6,
        "top_p": 0.95, "steps": 60,
    }  # fmt: skip
    selection, replay, actor = config.dots.selection, config.dots.replay, config.actor_rollout_ref.actor
    assert (selection.references, selection.alpha, selection.tau, selection.mu) == (256, 0.5, 0.001, 2)
    assert (selection.reuse_references, selection.rho_floor) == (False, -1)
    assert (replay.delta, replay.capacity, replay.sampling) == (0.5, 256, "uniform")
    assert (actor.policy_loss.loss_mode, actor.loss_agg_mode) == ("grpo_rr", "seq-mean-token-mean")
    assert (actor.clip_ratio, actor.grad_clip, actor.optim.weight_decay, actor.use_kl_loss) == (0.2, 1.0, 0, False)
    assert (config.algorithm.norm_adv_by_std_in_grpo, config.dots.loss.behaviour) == (False, "recomputed")
    assert (actor.optim.lr_scheduler_type, actor.optim.lr_warmup_steps_ratio) == ("constant", 0.0)
    sampling = config.actor_rollout_ref.rollout.val_kwargs
    assert (sampling.do_sample, sampling.temperature, sampling.top_p) == (True, 0.6, 0.95)


def test_dots_baseline_differs_in_selection_and_replay_alone(places):
    grpo, dots = (of_method(places, "dots", method) for method in ("grpo", "dots"))
    assert facts(grpo) == facts(dots) | {"response": 4096}
    assert (grpo.dots.selection.enable, dots.dots.selection.enable) == (False, True)
    assert (grpo.dots.replay.enable, dots.dots.replay.enable) == (False, False)
    assert grpo.actor_rollout_ref.actor.loss_agg_mode == dots.actor_rollout_ref.actor.loss_agg_mode
    assert grpo.actor_rollout_ref.actor.loss_agg_mode == "seq-mean-token-mean"
    assert grpo.algorithm.norm_adv_by_std_in_grpo is dots.algorithm.norm_adv_by_std_in_grpo is False


def test_dots_as_its_code_does_it(places):
    config = of_method(places, "dots", "dots_rr_code")
    actor = config.actor_rollout_ref.actor
    assert (actor.policy_loss.loss_mode, actor.loss_agg_mode) == ("grpo_rr_decoupled", "token-mean")
    assert config.algorithm.norm_adv_by_std_in_grpo is True


@pytest.mark.parametrize(
    ("script", "arguments", "key", "value"),
    [
        ("ablation_k", (), "references", 128),
        ("ablation_k", ("64",), "references", 64),
        ("ablation_alpha", ("0.7",), "alpha", 0.7),
        ("ablation_tau", (), "tau", 0.1),
        ("ablation_reuse", (), "reuse_references", True),
    ],
)
def test_dots_ablations_of_the_selection(script, arguments, key, value):
    overrides = Recipe(f"dots/{script}.sh", arguments).overrides("dots.seed=3")
    # The last one counts.
    given = dict(override.split("=", 1) for override in overrides)
    assert given[f"dots.selection.{key}"] == str(value)
    assert given["dots.seed"] == "3"
    assert given["dots.preset"] == "dots_rr"


def test_dots_ablations_of_the_buffer_and_of_the_curriculum(places):
    delta = config_of(places, "dots/ablation_delta.sh").dots.replay
    # At delta 0.25 a batch of 512 replays 384 groups: more than the usual buffer of 256 holds.
    assert (delta.delta, delta.capacity) == (0.25, 512)
    # From 0.5 on 256 are enough, and the share is all that differs.
    for share, capacity in (("0.5", 256), ("0.75", 256), ("0.499", 512)):
        overrides = Recipe("dots/ablation_delta.sh", (share,)).overrides()
        assert {f"dots.replay.delta={share}", f"dots.replay.capacity={capacity}"} <= set(overrides)
    assert "dots.replay.capacity=400" in Recipe("dots/ablation_delta.sh").overrides(CAPACITY="400")
    assert config_of(places, "dots/ablation_c.sh").dots.replay.capacity == 512
    static = config_of(places, "dots/ablation_static.sh").dots
    assert (static.adarft.follow, static.selection.enable, static.replay.enable) == ("schedule", False, False)


def test_an_ablation_of_another_setting():
    overrides = Recipe("dots/ablation_k.sh", ("128",)).overrides(OF="3b_deepmath")
    assert "actor_rollout_ref.model.path=Qwen/Qwen2.5-3B" in overrides
    assert "trainer.default_local_dir=runs/dots/3b_deepmath/dots_rr-k128-seed1" in overrides


def test_adarft_has_the_papers_settings(places):
    config = of_method(places, "adarft", "adarft")
    assert facts(config) == {
        "lr": 1e-6, "batch": 1024, "n": 1, "mini_batch": 1024, "prompt": 1024, "response": 8000, "temperature": 1.0,
        "top_p": 1, "steps": 100,
    }  # fmt: skip
    adarft = config.dots.adarft
    assert (adarft.beta, adarft.alpha, adarft.eta, adarft.initial, list(adarft.range)) == (0.5, 2, 50, 0, [0, 100])
    assert (adarft.follow, adarft.damping, adarft.coverage) == ("reward", 0, None)
    assert (config.algorithm.adv_estimator, config.critic.optim.lr) == ("gae", 1e-5)
    assert config.critic.model.path == config.actor_rollout_ref.model.path
    assert config.data.dataloader_num_workers == 0


@pytest.mark.parametrize("data", ["uniform", "difficult", "easy"])
@pytest.mark.parametrize(
    ("size", "model", "response"), [("math-1.5b", "Qwen2.5-Math-1.5B", 3000), ("7b", "Qwen2.5-7B", 8000)]
)
def test_adarfts_six_settings(size, model, response, data):
    overrides = Recipe(f"adarft/{size}_{data}.sh", ("ppo",)).overrides()
    assert {
        f"actor_rollout_ref.model.path=Qwen/{model}", f"critic.model.path=Qwen/{model}",
        f"data.train_files=data/deepscaler_{data}.parquet", f"data.max_response_length={response}",
    } <= set(overrides)  # fmt: skip


def test_adarfts_baselines_and_algorithms(places):
    def of(method):
        return of_method(places, "adarft", method)

    assert of("ppo").dots.adarft.enable is False
    schedule, filtered = of("schedule").dots.adarft, of("filter").dots.adarft
    assert (schedule.enable, schedule.follow, schedule.initial) == (True, "schedule", 0)
    assert (filtered.enable, filtered.follow, list(filtered.within)) == (True, "nothing", [10, 90])
    grpo, reinforce = of("adarft_grpo"), of("reinforce_plus_plus")
    assert (grpo.algorithm.adv_estimator, facts(grpo)["n"], grpo.dots.adarft.enable) == ("grpo", 8, True)
    assert (reinforce.algorithm.adv_estimator, facts(reinforce)["n"]) == ("reinforce_plus_plus", 1)


def test_e3_has_the_papers_settings(places):
    config = of_method(places, "e3", "e3")
    assert facts(config) == {
        "lr": 5e-6, "batch": 64, "n": 8, "mini_batch": 64, "prompt": 2048, "response": 6144, "temperature": 1.0,
        "top_p": 1, "steps": 459,  # 3 epochs of 9,812 distinct questions are 3 x 153 whole batches of 64
    }  # fmt: skip
    assert facts(of_method(places, "e3", "grpo"))["lr"] == 2e-6
    budget, temperature = config.dots.budget, config.dots.temperature
    assert (budget.enable, budget.least, budget.most, budget.widen, budget.by) == (True, 4, 12, 2, "reward")
    assert (temperature.enable, temperature.target, temperature.warm_up) == (True, None, 1)
    assert (temperature.anneal_from, temperature.anneal_to) == (0.6, 0.9)
    assert config.actor_rollout_ref.actor.use_kl_loss is False


def test_each_row_of_e3s_table_adds_to_the_last(places):
    def stages(method):
        dots = of_method(places, "e3", method).dots
        return dots.temperature.enable, dots.temperature.anneal_from, dots.budget.enable, dots.length_penalty.enable

    assert stages("grpo") == (False, None, False, False)
    assert stages("temperature") == (True, None, False, False)
    assert stages("annealing") == (True, 0.6, False, False)
    assert stages("e3") == (True, 0.6, True, False)
    assert stages("budget") == (False, None, True, False)
    assert stages("short") == (True, 0.6, True, True)
    dapo, entropy = (of_method(places, "e3", method) for method in ("dapo", "entropy"))
    assert (dapo.algorithm.filter_groups.enable, dapo.actor_rollout_ref.actor.clip_ratio_high) == (True, 0.28)
    assert entropy.actor_rollout_ref.actor.entropy_coeff > 0


def test_dash_has_the_papers_settings(places):
    config = of_method(places, "dash", "dash")
    # 3 epochs of 7,500 questions are 3 x 29 whole batches of 256.
    assert facts(config) == {
        "lr": 3e-6, "batch": 256, "n": 4, "mini_batch": 256, "prompt": 256, "response": 2048, "temperature": 0.9,
        "top_p": 1, "steps": 87,
    }  # fmt: skip
    assert (config.dots.filter.enable, config.dots.filter.threshold) == (True, 0.1)
    assert config.actor_rollout_ref.actor.use_kl_loss is False


def test_dash_variants(places):
    def of(method):
        return of_method(places, "dash", method)

    def kl_and_filter(method):
        return of(method).actor_rollout_ref.actor.use_kl_loss, of(method).dots.filter.enable

    assert [kl_and_filter(m) for m in ("grpo", "no_filter", "dash_kl")] == [(True, False), (True, False), (True, True)]
    assert of("grpo").actor_rollout_ref.rollout.max_num_seqs < of("no_filter").actor_rollout_ref.rollout.max_num_seqs
    multi, mini = of("multi"), of("mini")
    # Both sample 87 times 256 questions.
    assert (facts(multi)["batch"], multi.dots.preemptive.prompts, multi.dots.preemptive.updates) == (256, 256, 3)
    assert (facts(mini)["batch"], mini.dots.preemptive.prompts, mini.dots.preemptive.updates) == (8, 256, 32)
    assert (facts(multi)["steps"], facts(mini)["steps"]) == (87 * 3, 87 * 32)
    # 20 batches of 256 a checkpoint: 5 of a whole run, however many updates it makes of them.
    assert [of(method).trainer.save_freq for method in ("dash", "multi", "mini")] == [20, 60, 640]


def test_an_older_checkpoint_stays_until_the_next_but_one_is_complete(places):
    ppo, testbed = of_method(places, "adarft", "ppo").trainer, config_of(places, "cpu/ppo.sh").trainer
    for trainer in (ppo, testbed):
        assert (trainer.max_actor_ckpt_to_keep, trainer.max_critic_ckpt_to_keep) == (2, 2)


def test_the_testbed_trains_as_the_papers_methods_do(places):
    def of(name):
        return config_of(places, f"cpu/{name}.sh")

    ppo, adarft = of("ppo"), of("adarft_ppo")
    # A step has 64 rollouts, as grpo.sh: of 64 questions.
    assert (facts(of("grpo"))["batch"], facts(of("grpo"))["n"]) == (8, 8)
    assert [(facts(each)["batch"], facts(each)["n"]) for each in (ppo, adarft)] == [(64, 1), (64, 1)]
    assert (ppo.algorithm.adv_estimator, ppo.critic.optim.lr, facts(ppo)["lr"]) == ("gae", 3e-4, 3e-5)
    assert (ppo.dots.adarft.enable, adarft.dots.adarft.enable, adarft.dots.adarft.eta) == (False, True, 4.5)
    assert ppo.critic.model.path == ppo.actor_rollout_ref.model.path == places["MODEL"]
    assert of("reinforce_plus_plus").algorithm.adv_estimator == "reinforce_plus_plus"
    preemptive = [of(f"dash_{name}").dots.preemptive for name in ("multi", "mini")]
    assert [(each.prompts, each.updates) for each in preemptive] == [(8, 3), (8, 4)]
    # 60 steps of 8 questions each.
    assert [facts(of(f"dash_{name}"))["steps"] for name in ("multi", "mini")] == [60 * 3, 60 * 4]
    assert facts(of("dash_mini"))["batch"] == 2
    filtered = [(of(name).dots.filter.enable, of(name).actor_rollout_ref.actor.use_kl_loss) for name in DASH_ON_TESTBED]
    assert filtered == [(False, True), (True, True), (True, False)]


@pytest.mark.parametrize("name", ["e3", "e3_temperature", "e3_annealing", "e3_short", "all"])
def test_the_testbeds_target_entropy_is_of_as_many_questions_as_two_of_the_papers_batches(places, name):
    config = config_of(places, f"cpu/{name}.sh")
    assert config.dots.temperature.warm_up * facts(config)["batch"] == 128


@pytest.mark.parametrize(
    ("script", "arguments", "key", "value"),
    [
        ("ablation_k", (), "selection.references", "4"),
        ("ablation_k", ("16",), "selection.references", "16"),
        ("ablation_alpha", (), "selection.alpha", "0.3"),
        ("ablation_tau", ("0",), "selection.tau", "0"),
        ("ablation_delta", (), "replay.delta", "0.25"),
        ("ablation_c", (), "replay.capacity", "16"),
        ("ablation_reuse", (), "selection.reuse_references", "False"),
    ],
)
def test_an_ablation_of_the_testbed_changes_one_setting_of_dots_rr(script, arguments, key, value):
    ours, theirs = (
        dict(override.split("=", 1) for override in Recipe(f"cpu/{name}.sh", more).overrides())
        for name, more in ((script, arguments), ("dots_rr", ()))
    )
    run = ("trainer.default_local_dir", "trainer.experiment_name")
    assert {name for name in ours if ours[name] != theirs.get(name)} - set(run) == {f"dots.{key}"}
    assert ours[f"dots.{key}"] == value
    assert ours["trainer.experiment_name"].startswith("dots_rr-")


def test_the_evaluation_of_the_readme_is_accepted(places):
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
    config, trained = compose(options.overrides), of_method(places, "e3", "e3")
    check_sampling(config.actor_rollout_ref.rollout.val_kwargs)
    assert config.actor_rollout_ref.rollout.val_kwargs.temperature == 1.0
    for length in ("prompt", "response"):
        assert facts(config)[length] == facts(trained)[length]


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


def test_a_typo_in_an_override_is_refused(places):
    with pytest.raises(ConfigError, match="'dots.selection.referenses'; did you mean 'dots.selection.references'"):
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

    from verl_dots.difficulty.collect import parse as parse_collect
    from verl_dots.difficulty.train import parse as parse_train

    asked, trained = parse_collect(lines[0][3:]), parse_train(lines[4][3:])
    assert (asked.model, str(asked.out), asked.rollouts) == ("a/one", labels[0], 8)
    assert (trained.preset, str(trained.out), trained.epochs, trained.references, trained.seeds) == (
        "paper", "my/predictor", 20, 256, [1],
    )  # fmt: skip
