"""What recipes set: they are accepted, they are presets but for what is allowed by name, presets are as published."""

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from scripts.paper_settings import of_script, ours, papers
from scripts.recipe_difference import leaves
from tests.recipes.recipe_runs import METHODS, Recipe, ablations, every_recipe, of_preset, one_of_each, settings
from verl_dots.config import PRESETS
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate

pytestmark = pytest.mark.usefixtures("cpu_environment")
FOLDER = Path(__file__).parents[2] / "verl_dots/conf/preset"
PAPERS = papers()
ACTOR, ROLLOUT, VALIDATION = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "rollout.val_kwargs"))

# --- recipes as they stand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(each, marks=() if each in one_of_each() else pytest.mark.long) for each in every_recipe()],
    ids=str,
)
def test_a_recipe_is_accepted_by_this_project_and_by_verl(composed, asks_anew, recipe):
    config = composed(recipe)
    validate(config, data=asks_anew(config))
    # An older checkpoint stays until the next but one is complete.
    assert (config.trainer.max_actor_ckpt_to_keep, config.trainer.max_critic_ckpt_to_keep) == (2, 2)


@pytest.mark.long
@pytest.mark.parametrize("recipe", every_recipe(), ids=str)
def test_a_config_is_what_hydra_composes(composed, places, recipe):
    whole = compose(recipe.overrides(f"dots.difficulty.cache={places['CACHE']}", **places))
    assert leaves(whole) == leaves(composed(recipe))


def test_recipes_embed_where_they_train_and_look_at_thousands_of_rollouts_twice_a_second(composed):
    for recipe in one_of_each():
        config = composed(recipe)
        found = (config.trainer.device, config.dots.difficulty.device, config.dots.poll_seconds)
        assert found == (("cpu", "cpu", 0.05) if recipe.folder == "cpu" else ("cuda", "cuda", 0.5)), recipe


def test_no_two_recipes_train_in_one_folder(composed):
    folders = [composed(recipe).trainer.default_local_dir for recipe in one_of_each()]
    assert len(set(folders)) == len(folders) and all(folder.startswith("runs/") for folder in folders)
    assert {"runs/cpu/dots_rr-k4-seed1", "runs/dots/math-1.5b_math/dots_rr-k128-seed1"} <= set(folders)


def test_a_static_curriculum_is_an_ablation_of_grpo(composed):
    for script, folder, last in (
        ("dots/ablation.sh", "runs/dots/math-1.5b_deepscaler", 100),
        ("cpu/ablation.sh", "runs/cpu", 10),
    ):
        config = composed(Recipe(script, ("static",)))
        adarft = config.dots.adarft
        assert (adarft.enable, adarft.follow, adarft.range[1]) == (True, "schedule", last)
        assert (config.dots.selection.enable, config.dots.replay.enable) == (False, False)
        assert config.trainer.default_local_dir == f"{folder}/grpo-static-seed1"


def test_a_step_of_the_testbed_has_64_rollouts_and_its_runs_the_same_questions(composed):
    for script in settings("cpu"):
        config = composed(Recipe(script))
        batch, steps = config.data.train_batch_size, config.trainer.total_training_steps
        updates = config.dots.preemptive.updates or 1
        sampled = config.dots.preemptive.prompts if updates > 1 else batch
        assert sampled * config.actor_rollout_ref.rollout.n == 64
        assert steps / updates == 60
        if config.dots.temperature.enable:  # the target entropy is of as many questions as two of the paper's batches
            assert config.dots.temperature.warm_up * batch == 128


def test_the_testbeds_loss_has_one_form_for_all_methods(composed):
    forms = {
        (config.algorithm.norm_adv_by_std_in_grpo, config.actor_rollout_ref.actor.loss_agg_mode)
        for config in (composed(recipe) for recipe in one_of_each() if recipe.folder == "cpu")
    }
    assert forms == {(True, "token-mean")}


@pytest.mark.parametrize(("script", "method"), [("0.5b", "dash"), ("3b", "multi"), ("0.5b", "mini")])
def test_dash_saves_five_times_however_many_updates_it_makes_of_a_batch(composed, script, method):
    trainer = composed(Recipe(f"dash/{script}.sh", (method,))).trainer
    assert -(-trainer.total_training_steps // trainer.save_freq) == 5


# --- what a recipe may set differently from its preset ------------------------------------------------------------

RUN = {  # model, data, lengths, how long a run is and where it is kept
    "actor_rollout_ref.model.path", "data.train_files", "data.val_files", "data.max_prompt_length",
    "data.max_response_length", "trainer.total_training_steps", "trainer.total_epochs", "trainer.test_freq",
    "trainer.save_freq", "trainer.max_actor_ckpt_to_keep", "trainer.max_critic_ckpt_to_keep", "trainer.project_name",
    "trainer.experiment_name", "trainer.default_local_dir", "dots.difficulty.cache",
}  # fmt: skip
CLUSTER = {
    "data.filter_overlong_prompts", f"{ACTOR}.use_dynamic_bsz", f"{ACTOR}.ppo_max_token_len_per_gpu", f"{ROLLOUT}.name",
    f"{ROLLOUT}.tensor_model_parallel_size", "trainer.n_gpus_per_node",
}  # fmt: skip
# A method and its baselines train alike: batches, rollouts, optimizer.
BATCH = {"data.train_batch_size", f"{ACTOR}.ppo_mini_batch_size"}
TRAINING = {*BATCH, f"{ROLLOUT}.n", f"{ROLLOUT}.temperature", f"{ACTOR}.optim.lr", f"{ACTOR}.optim.weight_decay"}
SAMPLING = {f"{VALIDATION}.do_sample", f"{VALIDATION}.temperature", f"{VALIDATION}.top_p"}
LOSS_FORM = {"algorithm.norm_adv_by_std_in_grpo", f"{ACTOR}.loss_agg_mode"}
PREDICTOR = {f"dots.difficulty.{name}" for name in ("predictor", "checkpoint", "backbone")}
KL = {f"{ACTOR}.use_kl_loss", f"{ACTOR}.kl_loss_coef"}
CRITIC = {"algorithm.adv_estimator", "critic.model.path", "critic.optim.lr"}
DAPO = {"algorithm.filter_groups.enable", f"{ACTOR}.clip_ratio_high"}
SELECTION = {
    f"dots.selection.{name}"
    for name in (
        "references",
        "references_are_candidates",
        "mu",
        "tau",
        "reuse_references",
        "rho_floor",
        "uniform_start",
    )
}
REPLAY = {f"dots.replay.{name}" for name in ("capacity", "overlap", "fresh_steps")}
LEARNT = {"dots.difficulty.half_life", "dots.difficulty.layers"}
LEVELS = {f"dots.adarft.{name}" for name in ("difficulty", "range", "initial")}

# (folder, methods or presets, keys); `*` is any name.
ALLOWED = (
    ("dots", "*", RUN | CLUSTER | TRAINING | SAMPLING | {f"{ROLLOUT}.top_p"}),
    ("dots", "dots*", PREDICTOR),
    ("dots", "grpo", LOSS_FORM),
    ("adarft", "*", RUN | CLUSTER | BATCH | {f"{ROLLOUT}.n"}),
    ("adarft", "*[!o]", CRITIC | {"critic.ppo_max_token_len_per_gpu"}),  # not those of ..._grpo
    ("adarft", "ppo", CRITIC | {"critic.ppo_max_token_len_per_gpu"}),
    ("e3", "*", RUN | CLUSTER | TRAINING),
    ("e3", "dapo", DAPO),
    ("e3", "entropy", {f"{ACTOR}.entropy_coeff"}),
    ("dash", "*", RUN | CLUSTER | TRAINING),
    ("dash", "[gn]*", KL),
    ("dash", "dash_kl", KL),
    ("dash", "grpo", {f"{ROLLOUT}.max_num_seqs"}),
    # The testbed: one block of scaling, by preset ...
    ("cpu", "*", RUN | TRAINING - {f"{ACTOR}.optim.weight_decay", f"{ROLLOUT}.temperature"} | SAMPLING),
    ("cpu", "dots*", SELECTION | LEARNT | LOSS_FORM),
    ("cpu", "dots_rr*", REPLAY | {"dots.loss.behaviour"}),
    ("cpu", "adarft*", LEVELS),
    ("cpu", "adarft", {"dots.adarft.eta"}),
    ("cpu", "adarft_filter", {"dots.adarft.within"}),
    ("cpu", "mopps", {"dots.mopps.memory"}),
    ("cpu", "e3*", {"dots.temperature.warm_up", "data.train_max_samples"}),
    ("cpu", "e3_short", {"dots.length_penalty.strength"}),
    ("cpu", "dash*", {"dots.filter.threshold"}),
    ("cpu", "dash_m*", {"dots.preemptive.prompts", "dots.preemptive.updates"}),
    ("cpu", "all", SELECTION | LEARNT | LOSS_FORM | {"dots.replay.capacity", "dots.loss.behaviour"}),
    ("cpu", "all", {"dots.temperature.warm_up", "dots.filter.threshold"}),
    # ... and what makes a variant, by script.
    ("cpu", "all", {"dots.temperature.entropy", "dots.temperature.damping"}),
    ("cpu", "*ppo", CRITIC),
    ("cpu", "*reinforce_plus_plus", {"algorithm.adv_estimator"}),
    ("cpu", "dapo", DAPO),
    ("cpu", "dots_refill", {"dots.refill.enable", "dots.refill.within"}),
    ("cpu", "e3_entropy", {f"{ACTOR}.entropy_coeff"}),
    ("cpu", "dash_[gkn]*", KL),
    ("cpu", "dash_grpo", {f"{ROLLOUT}.max_num_seqs"}),
    ("cpu", "balanced", {"dots.filter.enable", "dots.filter.balanced"}),
)


def allowed(recipe: Recipe, preset: str) -> set[str]:
    names = {recipe.method, preset} - {""}
    keys = {key for folder, of, group in ALLOWED for key in group if folder == recipe.folder
            if any(fnmatchcase(name, of) for name in names)}  # fmt: skip
    if recipe.name == "ablation":
        method, key, _ = ablations(recipe.folder)[recipe.arguments[0]]
        keys |= {key} | (LOSS_FORM if method == "grpo" else set())
    return keys


@cache
def preset_settings(*overrides: str) -> dict:
    return leaves(of_preset(*overrides))


def differing(recipe: Recipe, composed) -> tuple[set[str], str]:
    """Keys in which a recipe is not its preset, and the preset."""
    config = composed(recipe)
    device = ["device=cpu"] if recipe.folder == "cpu" else []
    found, preset = leaves(config), preset_settings(*device, f"dots.preset={config.dots.preset}")
    return {key for key in found if key not in preset or found[key] != preset[key]}, config.dots.preset


@pytest.mark.parametrize("recipe", one_of_each(), ids=str)
def test_a_recipe_differs_from_its_preset_where_it_may(recipe, composed):
    found, preset = differing(recipe, composed)
    assert found <= allowed(recipe, preset)


def test_every_difference_that_is_allowed_occurs(composed):
    occurring = set().union(*(differing(recipe, composed)[0] for recipe in one_of_each()))
    # The paper's predictor is not here: `places` has this project's.
    assert set().union(*(keys for _, _, keys in ALLOWED)) - PREDICTOR <= occurring


# --- what is published -------------------------------------------------------------------------------------------


def published(preset: str) -> dict[str, dict]:
    """Settings of a preset, and of those that it builds on."""
    bases = yaml.safe_load((FOLDER / f"{preset}.yaml").read_text()).get("defaults", [])
    found = {key: value for base in bases if base != "_self_" for key, value in published(base).items()}
    for paper in PAPERS.values():
        found |= paper["presets"].get(preset, {})
    return found


def test_every_preset_is_of_a_paper_but_grpo_and_all():
    of_papers = {preset for paper in PAPERS.values() for preset in paper["presets"]}
    assert set(PRESETS) == of_papers | {"grpo", "all"}


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"grpo", "all"}))
def test_a_preset_holds_what_its_paper_publishes_and_nothing_else(preset):
    settings, plain = preset_settings(f"dots.preset={preset}"), preset_settings("dots.preset=grpo")
    expected = {key: ours(setting) for key, setting in published(preset).items()}
    assert {key: settings[key] for key in expected} == expected
    assert {key for key in settings if settings[key] != plain[key]} - {"dots.preset"} <= set(expected)


@pytest.mark.parametrize("recipe", [each for each in one_of_each() if each.folder in METHODS and each.method], ids=str)
def test_a_recipe_trains_with_what_its_paper_publishes(recipe, composed, places):
    paper, config = PAPERS[recipe.folder], composed(recipe)
    expected = {} if config.dots.preset == "grpo" else published(config.dots.preset)
    expected |= paper["recipes"]
    for name, group in paper["methods"].items():
        expected |= group if fnmatchcase(recipe.method, name) else {}
    for key, setting in expected.items():
        value, found = ours(setting), OmegaConf.select(config, key)
        if key == "data.val_files":
            value = [f"{places['DATA']}/{name}.parquet" for name in value]
        assert (OmegaConf.to_container(found) if OmegaConf.is_list(found) else found) == value, key


@pytest.mark.parametrize("folder", METHODS)
def test_a_folder_has_the_papers_settings_and_no_other(folder):
    paper = PAPERS[folder]
    assert {f"{folder}/{name}.sh" for name in paper["scripts"]["rows"]} == set(settings(folder))
    assert set(paper["scripts"]["results"]) <= set(METHODS[folder]) or folder == "dots"
    for script in settings(folder):
        given = Recipe(script, METHODS[folder][:1]).given()
        expected = of_script(paper, Path(script).stem)
        if "data.train_files" in expected:
            expected["data.train_files"] = f"data/{expected['data.train_files']}.parquet"
        found = {key: yaml.safe_load(given[key]) for key in expected}
        assert {key: float(value) if key.endswith(".lr") else value for key, value in found.items()} == expected
