"""What the methods need of a run is refused before Ray starts."""

import json
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from data_prep.byte_tokenizer import build_tokenizer
from tests.refusals import cases, changed, refused
from verl_dots.config import DotsConfig
from verl_dots.data.questions import read_questions
from verl_dots.difficulty.embeddings import Backbone, EmbeddingCache, cached_embeddings
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate
from verl_dots.methods.dash.checks import filters_early

pytestmark = pytest.mark.usefixtures("cpu_environment")
QUESTIONS = 24
A, LOSS = "actor_rollout_ref.actor", "actor_rollout_ref.actor.policy_loss.loss_mode"
R, N = "actor_rollout_ref.rollout", "actor_rollout_ref.rollout.n"


def row(question, answer="1"):
    return {
        "data_source": "arithmetic",
        "prompt": [{"role": "user", "content": question}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"index": 0, "level": 7},
    }


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def filled(folder):
    """A folder with a model of one layer, 24 questions, and one for validation."""
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=300)
    Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2)).save_pretrained(folder / "model")
    build_tokenizer().save_pretrained(folder / "model")
    write(folder / "train.parquet", [row(f"What is {i} plus 1?", str(i + 1)) for i in range(QUESTIONS)])
    write(folder / "val.parquet", [row("What is 1 minus 1?", "0")])
    return folder


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """As `folder`, for tests that leave it as it is."""
    return filled(tmp_path_factory.mktemp("run"))


@cache
def plain():
    return compose(["device=cpu"])


def check(folder, *overrides, base=None):
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
    return validate(changed(base or plain(), [*given, *(word for override in overrides for word in override.split())]))


def embed(folder):
    backbone = Backbone(str(folder / "model"))
    texts = read_questions([folder / "train.parquet"]).texts
    return backbone, cached_embeddings(texts, backbone, folder / "cache", progress=False)


NO_SELECTION = "dots.selection.enable=False"
REPLAY = f"{NO_SELECTION} dots.replay.enable=True {LOSS}=grpo_rr"
ADARFT = "dots.adarft.enable=True dots.adarft.difficulty=extra_info.level"
STATIC = f"{NO_SELECTION} {ADARFT}"
BUDGET = f"{NO_SELECTION} dots.budget.enable=True {N}=8"
TEMPERATURE = f"{NO_SELECTION} dots.temperature.enable=True"
ENTROPY = f"{TEMPERATURE} dots.temperature.entropy=engine"
PENALTY = f"{NO_SELECTION} dots.length_penalty.enable=True"
FILTER = f"{NO_SELECTION} dots.filter.enable=True"
PREEMPTIVE = f"{NO_SELECTION} dots.preemptive.enable=True dots.preemptive.prompts=8 {LOSS}=grpo_rr"
WHOLE_ROUNDS = "dots.selection.enable=True dots.selection.reuse_references=False"
TOKEN_SUM_NORM = f"{A}.loss_agg_mode=seq-mean-token-sum-norm"
MANAGER = f"{R}.agent.agent_loop_manager_class"
# The overrides of a method, and those that it refuses.
REFUSED = {
    "": f"""
dots.selection.references=25 : size
data.train_batch_size=32 : size
data.train_max_samples=7 -> dots.selection.references : size
algorithm.filter_groups.enable=True : excluded
trainer.v1.trainer_mode=colocate_async|sync : excluded
dots.difficulty.backbone=/nowhere/model : file
dots.difficulty.backbone=null : missing
data.prompt_key=question -> data.train_files : data
dots.difficulty.device=cuda : excluded
{MANAGER}=null : excluded
data.custom_cls.path=mine.py : excluded
""",
    REPLAY: f"""
dots.replay.delta=0|1.5 : range
dots.replay.delta=0.1 : size
dots.replay.capacity=1 : size
dots.replay.max_age=0 : range
dots.replay.sampling=oldest : choice
dots.loss.truncation=-1 : range
dots.loss.behaviour=guessed : choice
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
trainer.v1.trainer_mode=sync : excluded
""",
    STATIC: """
dots.adarft.difficulty=extra_info.difficulty|hardness : data
dots.adarft.range=[5,1] : range
dots.adarft.initial=101 : range
dots.adarft.damping=1 : range
dots.adarft.beta=nan : range
dots.adarft.within=[1,6] : size
dots.adarft.follow=loss : choice
data.train_batch_size=32 : size
trainer.v1.trainer_mode=sync : excluded
""",
    ADARFT: """
dots.adarft.range=[0,100] : excluded
dots.adarft.coverage=0.1 dots.adarft.range=[0,1] : excluded
dots.adarft.within=[0,1] dots.adarft.range=[0,1] : excluded
dots.adarft.follow=nothing dots.adarft.range=[0,1] : excluded
""",
    BUDGET: f"""
dots.budget.least=13 -> dots.budget.most : range
{N}=3 : size
dots.budget.by=predicted : missing
data.train_batch_size=4 {A}.ppo_mini_batch_size=3 : size
dots.budget.least=1 : excluded
algorithm.adv_estimator=rloo : excluded
{A}.use_dynamic_bsz=False : excluded
data.custom_cls.path=mine.py : excluded
""",
    TEMPERATURE: f"""
{MANAGER}=null : excluded
{R}.temperature=2 : size
dots.temperature.damping=1 : range
dots.temperature.low=0 : range
dots.temperature.target=0|inf : range
dots.temperature.anneal_from=1.2 : range
dots.loss.behaviour=engine {LOSS}=grpo_rr -> dots.temperature.entropy : excluded
dots.replay.enable=True {LOSS}=grpo_rr actor_rollout_ref.model.use_fused_kernels=True """
    """-> actor_rollout_ref.model.use_fused_kernels : excluded
""",
    ENTROPY: f"""
{R}.top_p=0.9 : excluded
{R}.logprobs_mode=raw_logprobs : excluded
""",
    PENALTY: """
dots.length_penalty.easiest=0|20 : range
dots.length_penalty.strength=-1 : range
trainer.v1.trainer_mode=sync : excluded
""",
    FILTER: f"""
dots.filter.threshold=-1 : range
dots.filter.threshold=1 dots.filter.kind=quantile : range
dots.filter.kind=relative : choice
{A}.shuffle=True : excluded
data.train_batch_size=4 {A}.ppo_mini_batch_size=3 : size
{LOSS}=geo_mean|kl_cov : excluded
dots.loss.truncation=2 : excluded
dots.loss.behaviour=engine : excluded
{TOKEN_SUM_NORM} : excluded
""",
    PREEMPTIVE: f"""
dots.preemptive.prompts=0 : range
dots.preemptive.prompts=6 : size
dots.preemptive.updates=0 : range
dots.preemptive.updates=3 : size
{LOSS}=vanilla : excluded
dots.replay.enable=True : excluded
dots.adarft.enable=True dots.adarft.difficulty=extra_info.level : excluded
dots.temperature.enable=True : excluded
dots.selection.enable=True -> dots.selection.reuse_references : excluded
dots.selection.mu=3 {WHOLE_ROUNDS} : excluded
dots.preemptive.prompts=16 dots.selection.mu=8 {WHOLE_ROUNDS} : size
data.custom_cls.path=mine.py : excluded
{R}.calculate_log_probs=False : excluded
{R}.temperature=0 : excluded
""",
}


@pytest.mark.parametrize(
    ("method", "overrides", "key", "reason"),
    [(method, *case) for method, table in REFUSED.items() for case in cases(table)],
)
def test_a_setting_that_a_method_cannot_work_with(shared, method, overrides, key, reason):
    with refused(key, reason):
        check(shared, method, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        REPLAY,
        f"{REPLAY} {LOSS}=grpo_rr_decoupled algorithm.adv_estimator=grpo_rr",
        f"{REPLAY} dots.selection.enable=True",
        f"{ADARFT} dots.adarft.range=[0,1] dots.adarft.eta=0.5",  # predicted difficulties
        f"{BUDGET} dots.temperature.enable=True",
        f"{BUDGET} dots.selection.enable=True dots.budget.by=predicted dots.temperature.anneal_from=0.6",
        PENALTY,
        f"{FILTER} {TOKEN_SUM_NORM} {A}.loss_scale_factor=512",
        PREEMPTIVE,
        f"{PREEMPTIVE} dots.preemptive.updates=6",
        f"{PREEMPTIVE} {WHOLE_ROUNDS} dots.selection.mu=4",
        # Sampling for one step is what verl does: it needs no loss of ours, and works with everything.
        "dots.preemptive.enable=True dots.adarft.enable=True dots.adarft.range=[0,1]",
    ],
)
def test_settings_that_work(shared, overrides):
    assert check(shared, overrides)


@pytest.mark.parametrize("preset", ["grpo", "dots", "dots_rr", "adarft", "e3", "dash", "all"])
def test_the_presets_pass(shared, preset):
    config = compose(["device=cpu", f"dots.preset={preset}"])
    selects = f"dots.selection.enable={config.dots.selection.enable}"
    assert check(shared, selects, "dots.adarft.difficulty=extra_info.level", base=config).preset == preset


def test_questions_without_text_or_answer(folder):
    write(folder / "train.parquet", [row("What is 1 plus 1?", "2"), row("   ", "3")])
    with refused("data.train_files", "data") as caught:
        check(folder)
    assert "1 of 2 rows are no questions" in str(caught.value) and "row 1: the question has no text" in str(
        caught.value
    )


def test_conflicting_answers_are_left_out_or_refused(folder):
    rows = [row(f"What is {i} plus 1?", str(i + 1)) for i in range(20)] + [row("What is 3 plus 1?", "5")]
    write(folder / "train.parquet", rows)
    assert check(folder)
    with refused("data.train_files", "data") as caught:
        check(folder, "dots.selection.conflicting_answers=error")
    assert "row 3" in str(caught.value) and "row 20" in str(caught.value)
    # Without the two of them, 19 questions are left.
    assert check(folder, "dots.selection.references=19")
    with refused("dots.selection.references", "size"):
        check(folder, "dots.selection.references=20")


def test_a_cache_of_another_model_or_with_damage(folder):
    backbone, _ = embed(folder)
    assert check(folder)
    store = folder / "cache" / backbone.id
    described = json.loads((store / "model.json").read_text())
    (store / "model.json").write_text(json.dumps(described | {"backbone": "other-123"}))
    with refused("dots.difficulty.cache", "file") as caught:
        check(folder)
    assert "holds embeddings of 'other-123'" in str(caught.value)
    (store / "model.json").write_text(json.dumps(described))
    shard = next(store.glob("*.safetensors"))
    key = np.zeros((1, 16), np.uint8)
    save_file({"key": key, "embedding": np.full((1, described["width"]), np.nan, np.float32)}, shard)
    with refused("dots.difficulty.cache", "file") as caught:
        check(folder)
    assert "is damaged" in str(caught.value)


def attention(folder, width, backbone_id):
    AttentionPredictor(PredictorConfig(width, backbone_id=backbone_id, direct_head=False)).save(folder / "predictor")
    return [f"dots.difficulty.checkpoint={folder / 'predictor'}", "dots.difficulty.predictor=attention"]


def test_a_predictor_of_another_backbone_or_width(folder):
    backbone, embedding = embed(folder)
    assert check(folder, *attention(folder, embedding.shape[1], backbone.id))
    with refused("dots.difficulty.checkpoint", "file"):
        check(folder, *attention(folder, embedding.shape[1], "other-123"))
    with refused("dots.difficulty.checkpoint", "size"):
        check(folder, *attention(folder, 7, backbone.id))
    with refused("dots.difficulty.checkpoint", "file"):
        check(folder, "dots.difficulty.predictor=attention", "dots.difficulty.checkpoint=/nowhere")


def test_the_checks_leave_the_cache_as_it_is(folder):
    backbone, embedding = embed(folder)
    check(folder)
    texts = read_questions([folder / "train.parquet"]).texts
    assert EmbeddingCache(folder / "cache", backbone.id).missing(texts) == []
    assert np.array_equal(EmbeddingCache(folder / "cache", backbone.id).get(texts), embedding)


def test_images_cannot_be_kept(folder):
    table = pq.read_table(folder / "train.parquet")
    pq.write_table(table.append_column("images", [["a.png"]] * len(table)), folder / "train.parquet")
    assert check(folder)
    for method in (REPLAY, PREEMPTIVE):
        with refused("data.train_files", "excluded"):
            check(folder, method)


def test_what_is_only_said(shared, caplog):
    assert check(shared, STATIC, "dots.adarft.range=[1,10] dots.adarft.initial=1")
    assert check(shared, FILTER, "dots.filter.threshold=0.1")
    assert not caplog.records
    assert check(shared, STATIC, "dots.adarft.range=[1,5] dots.adarft.initial=1")
    assert "24 of 24 difficulties (7 to 7) are outside dots.adarft.range=[1, 5]" in caplog.text
    assert check(shared, TEMPERATURE, "dots.temperature.warm_up=3 trainer.total_training_steps=3")
    assert "dots.temperature.warm_up=3: the temperature stays where it begins for all of the run's 3" in caplog.text
    assert check(shared, FILTER, f"{A}.use_kl_loss=True")
    assert "even dots.filter.threshold=0 is not quite the same training" in caplog.text


def test_rows_leave_early_only_where_their_rewards_decide(shared):
    def early(*overrides):
        config = changed(plain(), ["dots.filter.enable=True", *overrides])
        return filters_early(config, DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True)))

    model = f"actor_rollout_ref.model.path={shared / 'model'}"
    assert early(model) and early(model, "algorithm.adv_estimator=rloo")
    for override in (
        "dots.filter.early=False", "algorithm.adv_estimator=gae", "algorithm.use_kl_in_reward=True",
        "dots.temperature.enable=True", "dots.replay.enable=True", "dots.length_penalty.enable=True",
        "algorithm.rollout_correction.rollout_is=token", "dots.loss.truncation=2",
    ):  # fmt: skip
        assert not early(model, override), override


def test_rows_that_no_reward_can_score_never_start_a_run(folder):
    bad = row("What is this?")
    write(folder / "train.parquet", [row(f"What is {i}?", "1") for i in range(30)] + [bad | {"data_source": "unheard"}])
    with refused("data.train_files", "data") as caught:
        check(folder)
    assert "row 30: no reward function" in str(caught.value)
    write(folder / "val.parquet", [row("A long question. " * 100), row("Short?")])
    write(folder / "train.parquet", [row(f"What is {i}?", "1") for i in range(30)])
    val = ["data.max_prompt_length=64"]
    with refused("data.val_files", "data") as caught:
        check(folder, *val)
    assert "at most 64 are allowed" in str(caught.value)
    assert check(folder, *val, "data.filter_overlong_prompts=True")
