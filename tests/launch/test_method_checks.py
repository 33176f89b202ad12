"""What the methods need of a run is refused before Ray starts."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from tests.launches import plain_config, question_row, write_rows
from tests.refusals import cases, changed, refused
from verl_dots.config import DotsConfig
from verl_dots.data.questions import read_questions
from verl_dots.difficulty.embeddings import Backbone, EmbeddingCache, cached_embeddings
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.launch.reward_checks import check_reward
from verl_dots.launch.start import validate
from verl_dots.methods import dash
from verl_dots.methods.dash.checks import filters_early

pytestmark = pytest.mark.usefixtures("cpu_environment")
A, LOSS = "actor_rollout_ref.actor", "actor_rollout_ref.actor.policy_loss.loss_mode"
R, N = "actor_rollout_ref.rollout", "actor_rollout_ref.rollout.n"


def check(folder, *overrides):
    """Validate a run with selection, whose config is changed by overrides; each may hold several."""
    settings = {
        "data.train_files": folder / "train.parquet",
        "data.val_files": folder / "val.parquet",
        "data.train_batch_size": 4,
        f"{A}.ppo_mini_batch_size": 2,
        "actor_rollout_ref.model.path": folder / "model",
        "dots.selection.enable": True,
        "dots.selection.references": 8,
        "dots.difficulty.cache": folder / "cache",
    }
    given = [f"{key}={value}" for key, value in settings.items()]
    words = [word for override in overrides for word in override.split()]
    return validate(changed(plain_config(), [*given, *words]))


def texts_of(folder):
    return read_questions([folder / "train.parquet"]).texts


def embed(folder):
    backbone = Backbone(str(folder / "model"))
    return backbone, cached_embeddings(texts_of(folder), backbone, folder / "cache", progress=False)


NO_SELECTION = "dots.selection.enable=False"
REPLAY = f"{NO_SELECTION} dots.replay.enable=True {LOSS}=grpo_rr {N}=4"
ADARFT = "dots.adarft.enable=True dots.adarft.difficulty=extra_info.level"
STATIC = f"{NO_SELECTION} {ADARFT}"
BUDGET = f"{NO_SELECTION} dots.budget.enable=True {N}=8"
TEMPERATURE = f"{NO_SELECTION} dots.temperature.enable=True"
ENTROPY = f"{TEMPERATURE} dots.temperature.entropy=engine"
BONUS = f"{NO_SELECTION} dots.entropy_coefficient.enable=True"
PENALTY = f"{NO_SELECTION} dots.length_penalty.enable=True"
FILTER = f"{NO_SELECTION} dots.filter.enable=True"
REFILL = f"{NO_SELECTION} dots.refill.enable=True {N}=4"
BALANCED = f"{FILTER} dots.filter.balanced=True {N}=4"
PREEMPTIVE = f"{NO_SELECTION} dots.preemptive.enable=True dots.preemptive.prompts=8 {LOSS}=grpo_rr"
WHOLE_ROUNDS = "dots.selection.enable=True dots.selection.reuse_references=False"
TOKEN_SUM_NORM = f"{A}.loss_agg_mode=seq-mean-token-sum-norm"
MANAGER = f"{R}.agent.agent_loop_manager_class"
ASYNC = "trainer.v1.trainer_mode=colocate_async"
STOP_EARLY = f"dots.stop_early.enable=True {N}=8"
# The overrides of a method, and those that it refuses.
REFUSED = {
    "": f"""
dots.selection.references=25 : size
data.train_batch_size=32 : size
data.train_max_samples=7 -> dots.selection.references : size
dots.adarft.beta=5 : range
algorithm.filter_groups.enable=True : excluded
trainer.v1.trainer_mode=separate_async : excluded
{ASYNC} reward.reward_model.enable=True -> reward.reward_model.enable : excluded
dots.difficulty.backbone=/nowhere/model : file
dots.difficulty.backbone=null : missing
dots.selection.score=rho : choice
dots.selection.score=effectiveness {N}=1 -> {N} : range
data.prompt_key=question -> data.train_files : data
dots.difficulty.device=cuda : excluded
dots.difficulty.field=hardness|extra_info.hardness|extra_info.split : data
{MANAGER}=null : excluded
data.custom_cls.path=mine.py : excluded
""",
    REPLAY: f"""
dots.replay.delta=0.1 : size
dots.replay.capacity=1 : size
{N}=1 : excluded
{LOSS}=vanilla : excluded
algorithm.adv_estimator=rloo : excluded
{R}.calculate_log_probs=False : excluded
{R}.temperature=0 : excluded
algorithm.rollout_correction.rollout_is=token : excluded
algorithm.rollout_correction.bypass_mode=True : excluded
dots.loss.truncation=2 : excluded
dots.loss.behaviour=engine {R}.top_p=0.9 -> {R}.top_p : excluded
algorithm.use_kl_in_reward=True : excluded
{R}.enable_rollout_routing_replay=True : excluded
data.gen_batch_size=2 : excluded
data.train_batch_size=32 dots.replay.delta=1 : size
{ASYNC} -> dots.loss.behaviour : excluded
trainer.v1.trainer_mode=separate_async : excluded
""",
    STATIC: """
dots.adarft.difficulty=extra_info.difficulty|hardness : data
dots.adarft.beta=nan|-0.1 : range
dots.adarft.within=[1,6] : size
data.train_batch_size=32 : size
trainer.v1.trainer_mode=separate_async : excluded
""",
    ADARFT: f"""
dots.adarft.range=[0,100] : excluded
dots.adarft.coverage=0.1 dots.adarft.range=[0,1] : excluded
dots.adarft.within=[0,1] dots.adarft.range=[0,1] : excluded
dots.adarft.follow=nothing dots.adarft.range=[0,1] : excluded
dots.selection.score=effectiveness {N}=8 dots.adarft.range=[0,1] : excluded
""",
    BUDGET: f"""
{N}=3 : size
dots.budget.by=predicted : missing
data.train_batch_size=4 {A}.ppo_mini_batch_size=3 : size
dots.budget.least=1 : excluded
algorithm.adv_estimator=rloo : excluded
data.custom_cls.path=mine.py : excluded
""",
    TEMPERATURE: f"""
{MANAGER}=null : excluded
{R}.temperature=2 : size
dots.loss.behaviour=engine {LOSS}=grpo_rr -> dots.temperature.entropy : excluded
{ASYNC} actor_rollout_ref.model.use_fused_kernels=True -> actor_rollout_ref.model.use_fused_kernels : excluded
dots.replay.enable=True {LOSS}=grpo_rr actor_rollout_ref.model.use_fused_kernels=True """
    """-> actor_rollout_ref.model.use_fused_kernels : excluded
""",
    ENTROPY: f"""
{R}.top_p=0.9 : excluded
{R}.logprobs_mode=raw_logprobs : excluded
""",
    BONUS: f"""
dots.temperature.enable=True : excluded
{A}.entropy_coeff=0.001 : excluded
dots.loss.behaviour=engine {LOSS}=grpo_rr -> dots.entropy_coefficient.enable : excluded
algorithm.rollout_correction.bypass_mode=True -> dots.entropy_coefficient.enable : excluded
distillation.enabled=True : excluded
trainer.v1.trainer_mode=separate_async : excluded
""",
    PENALTY: """
trainer.v1.trainer_mode=separate_async : excluded
""",
    FILTER: f"""
dots.filter.threshold=1.5 {N}=4 : size
dots.filter.threshold=0.75 {N}=4 algorithm.norm_adv_by_std_in_grpo=false : size
dots.filter.threshold=1 {N}=4 algorithm.adv_estimator=rloo : size
dots.filter.threshold=1 {N}=4 algorithm.adv_estimator=opo : size
{A}.shuffle=True : excluded
data.train_batch_size=4 {A}.ppo_mini_batch_size=3 : size
{LOSS}=kl_cov|dro : excluded
dots.loss.truncation=2 : excluded
dots.loss.behaviour=engine : excluded
{TOKEN_SUM_NORM} -> {A}.loss_scale_factor : missing
""",
    REFILL: f"""
algorithm.filter_groups.enable=True : excluded
data.gen_batch_size=2 : excluded
{N}=1 : excluded
data.train_batch_size=4 {A}.ppo_mini_batch_size=3 : size
reward.reward_model.enable=True : excluded
dots.budget.least=1 dots.budget.enable=True {N}=8 : excluded
dots.preemptive.enable=True dots.preemptive.prompts=8 {LOSS}=grpo_rr : excluded
trainer.v1.trainer_mode=separate_async : excluded
""",
    BALANCED: f"""
algorithm.adv_estimator=gae|reinforce_plus_plus : excluded
{LOSS}=dro|geo_mean : excluded
{A}.use_kl_loss=True : excluded
{A}.entropy_coeff=0.01 : excluded
dots.entropy_coefficient.enable=True : excluded
{N}=2 : size
trainer.v1.trainer_mode=separate_async : excluded
""",
    PREEMPTIVE: f"""
dots.preemptive.prompts=6 : size
dots.preemptive.updates=3 : size
{LOSS}=vanilla : excluded
dots.replay.enable=True : excluded
dots.adarft.enable=True dots.adarft.difficulty=extra_info.level : excluded
dots.temperature.enable=True : excluded
dots.entropy_coefficient.enable=True : excluded
dots.selection.enable=True -> dots.selection.reuse_references : excluded
dots.selection.mu=3 {WHOLE_ROUNDS} : excluded
dots.preemptive.prompts=16 dots.selection.mu=8 {WHOLE_ROUNDS} : size
dots.preemptive.prompts=12 dots.selection.references=0 dots.selection.mu=9 {WHOLE_ROUNDS} : size
data.custom_cls.path=mine.py : excluded
{R}.calculate_log_probs=False : excluded
{R}.temperature=0 : excluded
{ASYNC} dots.loss.behaviour=engine -> trainer.v1.trainer_mode : excluded
""",
    STOP_EARLY: f"""
{ASYNC} -> trainer.v1.trainer_mode : excluded
""",
    NO_SELECTION: """
trainer.v1.trainer_mode=separate_async : excluded
""",
}


@pytest.mark.parametrize(
    ("method", "overrides", "key", "reason"),
    [(method, *case) for method, table in REFUSED.items() for case in cases(table)],
)
def test_a_setting_that_a_method_cannot_work_with(run_folder, method, overrides, key, reason):
    with refused(key, reason):
        check(run_folder, method, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        REPLAY,
        f"{REPLAY} {LOSS}=grpo_rr_decoupled algorithm.adv_estimator=grpo_rr",
        f"{ADARFT} dots.adarft.range=[0,1] dots.adarft.eta=0.5",  # predicted difficulties
        f"{BUDGET} dots.temperature.enable=True",
        f"{BUDGET} dots.selection.enable=True dots.budget.by=predicted dots.temperature.anneal_from=0.6",
        PENALTY,
        BONUS,
        f"{BONUS} dots.filter.enable=True dots.budget.enable=True {N}=8",
        f"{BONUS} dots.replay.enable=True {LOSS}=grpo_rr {N}=4",
        f"{FILTER} {TOKEN_SUM_NORM} {A}.loss_scale_factor=512",
        BALANCED,
        f"{BALANCED} {LOSS}=grpo_rr dots.replay.enable=True",
        f"{BALANCED} {PREEMPTIVE} dots.filter.threshold=0.1",
        PREEMPTIVE,
        f"{REFILL} dots.refill.within=[0.2,0.8]",
        f"{REPLAY} dots.refill.enable=True dots.selection.enable=True dots.budget.enable=True {N}=8",
        f"{PREEMPTIVE} dots.preemptive.updates=6",
        f"{PREEMPTIVE} {WHOLE_ROUNDS} dots.selection.mu=4",
        ASYNC,
        f"{ASYNC} {NO_SELECTION}",
        f"{ASYNC} dots.replay.enable=True {LOSS}=grpo_rr dots.loss.behaviour=engine dots.refill.enable=True {N}=8",
        f"{ASYNC} {BUDGET} dots.temperature.enable=True dots.mopps.enable=True",
        "trainer.v1.trainer_mode=sync dots.temperature.enable=True",
        # Sampling for one step is what verl does: it needs no loss of ours, and works with everything.
        "dots.preemptive.enable=True dots.adarft.enable=True dots.adarft.range=[0,1]",
    ],
)
def test_settings_that_work(run_folder, overrides):
    assert check(run_folder, overrides)


def test_questions_without_text_or_answer(folder):
    write_rows(folder / "train.parquet", [question_row("What is 1 plus 1?", "2"), question_row("   ", "3")])
    with refused("data.train_files", "data", "1 of 2 rows", "row 1"):
        check(folder)


def test_conflicting_answers_are_left_out_or_refused(folder):
    rows = [question_row(f"What is {i} plus 1?", str(i + 1)) for i in range(20)]
    write_rows(folder / "train.parquet", [*rows, question_row("What is 3 plus 1?", "5")])
    assert check(folder)
    with refused("data.train_files", "data", "row 3", "row 20"):
        check(folder, "dots.selection.conflicting_answers=error")
    # Without the two of them, 19 questions are left.
    assert check(folder, "dots.selection.references=19")
    with refused("dots.selection.references", "size"):
        check(folder, "dots.selection.references=20")


def test_questions_are_counted_in_the_sample_that_is_drawn(folder):
    """The first 16 of these rows hold eight questions, and without the last of them seven."""
    rows = [question_row(f"What is {i // 2} plus 1?", str(i // 2 + 1)) for i in range(24)]
    write_rows(folder / "train.parquet", rows)
    assert check(folder, "data.shuffle=False data.train_max_samples=16")
    assert check(folder, "data.shuffle=False data.train_max_samples=15")
    with refused("dots.selection.references", "size", "7 questions"):
        check(folder, "data.shuffle=False data.train_max_samples=14")
    with refused("data.train_batch_size", "size", "the 2 different questions"):
        check(folder, "data.shuffle=False data.train_max_samples=4")
    # Of two answers to a question one is in the sample, and so there is no conflict.
    write_rows(folder / "train.parquet", [*rows[::2][:8], question_row("What is 0 plus 1?", "9")])
    assert check(folder, "data.shuffle=False data.train_max_samples=8")
    with refused("dots.selection.references", "size", "7 questions"):
        check(folder)


def test_a_cache_of_another_model_or_with_damage(folder):
    backbone, _ = embed(folder)
    assert check(folder)
    store = folder / "cache" / backbone.id
    described = json.loads((store / "model.json").read_text())
    (store / "model.json").write_text(json.dumps(described | {"backbone": "other-123"}))
    with refused("dots.difficulty.cache", "file", "other-123"):
        check(folder)
    (store / "model.json").write_text(json.dumps(described))
    shard = next(store.glob("*.safetensors"))
    key = np.zeros((1, 16), np.uint8)
    save_file({"key": key, "embedding": np.full((1, described["width"]), np.nan, np.float32)}, shard)
    with refused("dots.difficulty.cache", "file", "damaged"):
        check(folder)


def attention(folder, width, backbone_id):
    AttentionPredictor(PredictorConfig(width, backbone_id=backbone_id, direct_head=False)).save(folder / "predictor")
    return f"dots.difficulty.predictor=attention dots.difficulty.checkpoint={folder / 'predictor'}"


def test_a_predictor_of_another_backbone_or_width(folder):
    backbone, embedding = embed(folder)
    width = embedding.shape[1]
    assert check(folder, attention(folder, width, backbone.id))
    for wrong, reason in (((width, "other-123"), "file"), ((7, backbone.id), "size")):
        with refused("dots.difficulty.checkpoint", reason):
            check(folder, attention(folder, *wrong))
    with refused("dots.difficulty.checkpoint", "file"):
        check(folder, "dots.difficulty.predictor=attention dots.difficulty.checkpoint=/nowhere")


def test_a_predictor_that_has_no_effectiveness(folder):
    backbone, embedding = embed(folder)
    paper = attention(folder, embedding.shape[1], backbone.id)
    by_effectiveness = f"dots.selection.score=effectiveness {N}=8"
    with refused("dots.selection.score", "excluded", "--preset paper"):
        check(folder, paper, by_effectiveness)
    AttentionPredictor(PredictorConfig(embedding.shape[1], backbone_id=backbone.id)).save(folder / "predictor")
    assert check(folder, paper, by_effectiveness)


def test_the_checks_leave_the_cache_as_it_is(folder):
    backbone, embedding = embed(folder)
    check(folder)
    cache = EmbeddingCache(folder / "cache", backbone.id)
    assert cache.missing(texts_of(folder)) == []
    assert np.array_equal(cache.get(texts_of(folder)), embedding)


@pytest.mark.parametrize("column", ["images", "videos", "audios"])
def test_media_can_neither_be_kept_nor_told_apart(folder, column):
    table = pq.read_table(folder / "train.parquet")
    pq.write_table(table.append_column(column, [["a.png"]] * len(table)), folder / "train.parquet")
    with refused("data.train_files", "data", "hf serves text alone"):  # whichever method; other engines may serve them
        check(folder, "dots.selection.enable=False")
    for method in ("dots.selection.enable=True", REPLAY, PREEMPTIVE, STATIC, PENALTY):
        with refused("data.train_files", "excluded"):
            check(folder, method)


@pytest.mark.parametrize("content", [None, []])
def test_a_column_of_media_without_any_is_none(folder, content):
    table, kind = pq.read_table(folder / "train.parquet"), pa.list_(pa.string())
    without = table.append_column("images", pa.array([content] * len(table), kind))
    pq.write_table(without, folder / "train.parquet")
    assert check(folder, REPLAY)
    last = pa.array([content] * (len(table) - 1) + [["a.png"]], kind)
    pq.write_table(table.append_column("images", last), folder / "train.parquet")
    with refused("data.train_files", "excluded"):
        check(folder, REPLAY)


def test_what_is_only_said(run_folder, caplog):
    assert check(run_folder, FILTER, "dots.filter.threshold=0.1")
    assert not caplog.records
    assert check(run_folder, STATIC, "dots.adarft.range=[1,10] dots.adarft.initial=1")
    assert "extra_info.level is 7 for every question" in caplog.text
    caplog.clear()
    assert check(run_folder, STATIC, "dots.adarft.range=[1,5] dots.adarft.initial=1")
    assert "24 of 24 difficulties (7 to 7) are outside dots.adarft.range=[1, 5]" in caplog.text
    assert check(run_folder, TEMPERATURE, "dots.temperature.warm_up=3 trainer.total_training_steps=3")
    assert "dots.temperature.warm_up=3: the temperature stays where it begins for all of the run's 3" in caplog.text
    for steps, said in ((6, True), (7, False)):  # 24 questions, 4 a step
        caplog.clear()
        assert check(run_folder, PENALTY, f"trainer.total_training_steps={steps}")
        assert ("6 steps of 4 questions are no more than the 24" in caplog.text) is said
    assert check(run_folder, FILTER, f"{A}.use_kl_loss=True")
    assert "even dots.filter.threshold=0 is not quite the same training" in caplog.text


def test_rows_leave_early_only_where_their_rewards_decide(run_folder):
    def early(*overrides):
        config = changed(plain_config(), ["dots.filter.enable=True", *overrides])
        return filters_early(config, DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True)))

    model = f"actor_rollout_ref.model.path={run_folder / 'model'}"
    for estimator in ("grpo", "grpo_rr", "rloo"):
        assert early(model, f"algorithm.adv_estimator={estimator}")
    told = Path(dash.__file__).with_name("README.md").read_text()
    assert "That holds for the estimators `grpo`, `grpo_rr` and `rloo`, if nothing" in told
    twice = ("data.train_batch_size=4", "dots.preemptive.enable=True", "dots.preemptive.prompts=8")
    assert early(model, *twice, "dots.preemptive.updates=2") and not early(model, *twice, "dots.preemptive.updates=4")
    for override in (
        "dots.filter.early=False", "algorithm.adv_estimator=gae", "algorithm.use_kl_in_reward=True",
        "dots.temperature.enable=True", "dots.replay.enable=True", "dots.length_penalty.enable=True",
        "dots.entropy_coefficient.enable=True",
        "algorithm.rollout_correction.rollout_is=token", "dots.loss.truncation=2",
        "algorithm.adv_estimator=opo",  # whose baseline is weighted by lengths
    ):  # fmt: skip
        assert not early(model, override), override


@pytest.mark.parametrize(
    ("content", "key", "reason", "named"),
    [
        ("import sys; sys.exit(0)", "path", "file", "SystemExit: 0"),
        ("raise KeyError('no key')", "path", "file", "KeyError"),
        ("def compute_score(**kwargs):\n    yield 1.0", "name", "type", "yields"),
        ("async def compute_score(**kwargs):\n    yield 1.0", "name", "type", "yields"),
    ],
)
def test_a_file_of_a_reward_that_ends_the_process_or_gives_no_score(tmp_path, content, key, reason, named):
    file = tmp_path / "reward.py"
    file.write_text(content)
    config = plain_config().copy()
    OmegaConf.update(config, "reward.custom_reward_function", {"path": str(file), "name": "compute_score"}, merge=False)
    with refused(f"reward.custom_reward_function.{key}", reason, named):
        check_reward(config)


def test_difficulties_in_another_unit_than_the_target_are_told(folder, caplog):
    """Levels 0 to 19 fit a range of 0 to 19, and are nearly one point of 0 to 1000."""
    rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info={"index": i, "level": i}) for i in range(20)]
    write_rows(folder / "train.parquet", rows)
    check(folder, STATIC, "dots.adarft.range=[0,19]", "dots.adarft.eta=5")
    assert "of another unit" not in caplog.text
    check(folder, STATIC, "dots.adarft.range=[0,1000]")
    assert "is from 0 to 19" in caplog.text and "range=[0, 1000]" in caplog.text


@pytest.mark.parametrize(("band", "told"), [("[0.51,0.6]", True), ("[0.2,0.8]", False), ("[0.5,0.5]", False)])
def test_a_band_that_no_share_of_right_answers_is_in_is_told(folder, caplog, band, told):
    check(folder, REFILL, f"dots.refill.within={band}")
    assert ("has no k / 4" in caplog.text) is told
