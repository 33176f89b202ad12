"""Bad input of a run with selection is refused before Ray starts."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import save_file

from data_prep.byte_tokenizer import build_tokenizer
from verl_dots.config import DotsConfig
from verl_dots.data.questions import read_questions
from verl_dots.difficulty.embeddings import Backbone, EmbeddingCache, cached_embeddings
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate
from verl_dots.methods.dash.checks import filters_early
from verl_dots.settings import ConfigError

pytestmark = pytest.mark.usefixtures("cpu_environment")
QUESTIONS = 24


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


@pytest.fixture
def folder(tmp_path, random_qwen2):
    random_qwen2.resize_token_embeddings(300)
    random_qwen2.save_pretrained(tmp_path / "model")
    build_tokenizer().save_pretrained(tmp_path / "model")
    write(tmp_path / "train.parquet", [row(f"What is {i} plus 1?", str(i + 1)) for i in range(QUESTIONS)])
    write(tmp_path / "val.parquet", [row("What is 1 minus 1?", "0")])
    return tmp_path


def check(folder, *overrides):
    settings = {
        "device": "cpu",
        "data.train_files": folder / "train.parquet",
        "data.val_files": folder / "val.parquet",
        "data.train_batch_size": 4,
        "actor_rollout_ref.actor.ppo_mini_batch_size": 2,
        "actor_rollout_ref.model.path": folder / "model",
        "dots.selection.enable": True,
        "dots.selection.references": 8,
        "dots.difficulty.cache": folder / "cache",
    }
    return validate(compose([f"{key}={value}" for key, value in settings.items()] + list(overrides)))


def embed(folder):
    backbone = Backbone(str(folder / "model"))
    texts = read_questions([folder / "train.parquet"]).texts
    return backbone, cached_embeddings(texts, backbone, folder / "cache", progress=False)


def test_good_input_passes(folder):
    assert check(folder).selection.references == 8


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dots.selection.references=25"], "dots.selection.references=25 is more than the 24 questions"),
        (["data.train_batch_size=32"], "data.train_batch_size=32 is more than the 24 questions"),
        (["algorithm.filter_groups.enable=True"], "algorithm.filter_groups.enable=True does not go with"),
        (["trainer.v1.trainer_mode=colocate_async"], "trainer.v1.trainer_mode=colocate_async does not go with"),
        (["dots.difficulty.backbone=/nowhere/model"], "is no folder, and no name of a model of the hub"),
        (["data.prompt_key=question"], "has no column"),
        (["trainer.v1.trainer_mode=sync"], "trainer.v1.trainer_mode=sync does not go with"),
        (["data.train_max_samples=7"], "dots.selection.references=8 is more than the 7 questions"),
        (["dots.difficulty.device=cuda"], "dots.difficulty.device=cuda does not go with device=cpu"),
        (["actor_rollout_ref.rollout.agent.agent_loop_manager_class=null"], "agent_loop_manager_class=None does not"),
        (["data.custom_cls.path=mine.py"], "data.custom_cls.path=mine.py does not go with"),
    ],
)
def test_settings_that_cannot_work(folder, overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(folder, *overrides)


def test_questions_without_text_or_answer(folder):
    write(folder / "train.parquet", [row("What is 1 plus 1?", "2"), row("   ", "3")])
    with pytest.raises(
        ConfigError, match="data.train_files: 1 of 2 rows are no questions.* row 1: the question has no text"
    ):
        check(folder)


def test_conflicting_answers_are_left_out_or_refused(folder):
    rows = [row(f"What is {i} plus 1?", str(i + 1)) for i in range(20)] + [row("What is 3 plus 1?", "5")]
    write(folder / "train.parquet", rows)
    assert check(folder)
    with pytest.raises(
        ConfigError, match="1 prompts occur with different ground truths, the first: .* row 3, .* row 20"
    ):
        check(folder, "dots.selection.conflicting_answers=error")
    # Without the two of them, 19 questions are left.
    with pytest.raises(ConfigError, match="more than the 19 questions"):
        check(folder, "dots.selection.references=20")


def test_a_cache_of_another_model_or_with_damage(folder):
    backbone, _ = embed(folder)
    assert check(folder)
    store = folder / "cache" / backbone.id
    described = json.loads((store / "model.json").read_text())
    (store / "model.json").write_text(json.dumps(described | {"backbone": "other-123"}))
    with pytest.raises(ConfigError, match="holds embeddings of 'other-123'"):
        check(folder)
    (store / "model.json").write_text(json.dumps(described))
    shard = next(store.glob("*.safetensors"))
    key = np.zeros((1, 16), np.uint8)
    save_file({"key": key, "embedding": np.full((1, described["width"]), np.nan, np.float32)}, shard)
    with pytest.raises(ConfigError, match="is damaged.*delete it"):
        check(folder)


def attention(folder, width, backbone_id):
    AttentionPredictor(PredictorConfig(width, backbone_id=backbone_id, direct_head=False)).save(folder / "predictor")
    return [f"dots.difficulty.checkpoint={folder / 'predictor'}", "dots.difficulty.predictor=attention"]


def test_a_predictor_of_another_backbone_or_width(folder):
    backbone, embedding = embed(folder)
    assert check(folder, *attention(folder, embedding.shape[1], backbone.id))
    with pytest.raises(ConfigError, match="was trained on backbone 'other-123'"):
        check(folder, *attention(folder, embedding.shape[1], "other-123"))
    with pytest.raises(ConfigError, match=f"embeddings of width 7, those in .* have {embedding.shape[1]}"):
        check(folder, *attention(folder, 7, backbone.id))
    with pytest.raises(ConfigError, match="no predictor in"):
        check(folder, "dots.difficulty.predictor=attention", "dots.difficulty.checkpoint=/nowhere")


def test_the_checks_leave_the_cache_as_it_is(folder):
    backbone, embedding = embed(folder)
    check(folder)
    texts = read_questions([folder / "train.parquet"]).texts
    assert EmbeddingCache(folder / "cache", backbone.id).missing(texts) == []
    assert np.array_equal(EmbeddingCache(folder / "cache", backbone.id).get(texts), embedding)


REPLAY = [
    "dots.selection.enable=False",
    "dots.replay.enable=True",
    "actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr",
]
LOSS = "actor_rollout_ref.actor.policy_loss.loss_mode"
CORRECTION = "algorithm.rollout_correction"


def test_good_replay_passes(folder):
    assert check(folder, *REPLAY).replay.delta == 0.5
    assert check(folder, *REPLAY, f"{LOSS}=grpo_rr_decoupled", "algorithm.adv_estimator=grpo_rr")
    assert check(folder, *REPLAY[1:])  # with selection


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dots.replay.delta=0"], r"dots.replay.delta=0.0: must be above 0 and at most 1"),
        (["dots.replay.delta=1.5"], r"dots.replay.delta=1.5: must be above 0"),
        (["dots.replay.delta=0.1"], "delta=0.1 of a batch of 4 questions leaves none to roll out fresh"),
        (["dots.replay.capacity=1"], "dots.replay.capacity=1 is less than the 2 groups that a batch replays"),
        (["dots.replay.max_age=0"], "dots.replay.max_age=0: must be 1 or more"),
        (["dots.replay.sampling=oldest"], "must be one of uniform, nearest, freshest"),
        (["dots.loss.truncation=-1"], "dots.loss.truncation=-1.0: must be above 0"),
        (["dots.loss.behaviour=guessed"], "must be one of recomputed, engine"),
        ([f"{LOSS}=vanilla"], "loss_mode=vanilla does not go with dots.replay.enable=True.*set it to grpo_rr or"),
        (["algorithm.adv_estimator=rloo"], "algorithm.adv_estimator=rloo does not go with dots.replay.enable=True"),
        (["actor_rollout_ref.rollout.calculate_log_probs=False"], "the log-probs of the behaviour policy come from"),
        (["actor_rollout_ref.rollout.temperature=0"], "sampled greedily has no ratio"),
        ([f"{CORRECTION}.rollout_is=token"], "rollout_is=token does not go with .*loss_mode=grpo_rr"),
        ([f"{CORRECTION}.bypass_mode=True"], "dots.loss.behaviour=engine takes the engine's log-probs; set it to"),
        ([f"{LOSS}=grpo_rr", "dots.loss.truncation=2"], "dots.loss.truncation=2.0 does not go with loss_mode=grpo_rr"),
        (["dots.loss.behaviour=engine", "actor_rollout_ref.rollout.top_p=0.9"], "of the tokens within top_p alone"),
        (["algorithm.use_kl_in_reward=True"], "use_kl_in_reward=True does not go with"),
        (["actor_rollout_ref.rollout.enable_rollout_routing_replay=True"], "experts' routes are not kept"),
        (["data.gen_batch_size=2"], "data.gen_batch_size=2 does not go with dots.replay.enable=True"),
        (["data.train_batch_size=32", "dots.replay.delta=1"], "train_batch_size=32 is more than the 24 different"),
        (["trainer.v1.trainer_mode=sync"], "trainer.v1.trainer_mode=sync does not go with"),
    ],
)
def test_replay_that_cannot_work(folder, overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(folder, *REPLAY, *overrides)


def test_images_are_refused_with_replay(folder):
    table = pq.read_table(folder / "train.parquet")
    pq.write_table(table.append_column("images", [["a.png"]] * len(table)), folder / "train.parquet")
    assert check(folder)
    with pytest.raises(ConfigError, match=r"train.parquet has \['images'\]: dots.replay.enable=True keeps text alone"):
        check(folder, *REPLAY)


ADARFT = ["dots.adarft.enable=True", "dots.adarft.difficulty=extra_info.level"]
STATIC = ["dots.selection.enable=False", *ADARFT]


def test_good_adarft_passes(folder, caplog):
    assert check(folder, *STATIC, "dots.adarft.range=[1,10]", "dots.adarft.initial=1").adarft.eta == 50
    assert not caplog.records
    assert check(folder, *STATIC, "dots.adarft.range=[1,5]", "dots.adarft.initial=1")
    assert "24 of 24 difficulties (7 to 7) are outside dots.adarft.range=[1, 5]" in caplog.text
    assert check(folder, *ADARFT, "dots.adarft.range=[0,1]", "dots.adarft.eta=0.5")  # predicted difficulties


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([*STATIC[:2]], "24 of 24 rows have no finite number in 'extra_info.difficulty' .*row 0 has None"),
        ([*STATIC, "dots.adarft.difficulty=hardness"], r"has no column \['hardness'\]"),
        ([*STATIC, "dots.adarft.range=[5,1]"], r"dots.adarft.range=\[5.0, 1.0\]: must be \[least, greatest\]"),
        ([*STATIC, "dots.adarft.initial=101"], r"dots.adarft.initial=101.0: must be in \[0.0, 100.0\]"),
        ([*STATIC, "dots.adarft.damping=1"], r"dots.adarft.damping=1.0: must be in \[0, 1\)"),
        ([*STATIC, "dots.adarft.beta=nan"], "dots.adarft.beta=nan: must be a finite number"),
        ([*STATIC, "dots.adarft.within=[1,6]"], "leaves 0 of 24 different questions, and data.train_batch_size is 4"),
        ([*STATIC, "dots.adarft.follow=loss"], "must be one of reward, schedule, nothing"),
        ([*STATIC, "data.train_batch_size=32"], "data.train_batch_size=32 is more than the 24 different"),
        ([*STATIC, "trainer.v1.trainer_mode=sync"], "does not go with dots.adarft.enable=True"),
        (ADARFT, r"dots.adarft.range=\[0.0, 100.0\] does not go with dots.selection.enable=True"),
        ([*ADARFT, "dots.adarft.range=[0,1]", "dots.adarft.coverage=0.1"], "are about difficulties in the data"),
    ],
)
def test_adarft_that_cannot_work(folder, overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(folder, *overrides)


BUDGET = ["dots.selection.enable=False", "dots.budget.enable=True", "actor_rollout_ref.actor.ppo_mini_batch_size=2"]
TEMPERATURE = ["dots.selection.enable=False", "dots.temperature.enable=True"]
N = "actor_rollout_ref.rollout.n"


def test_good_e3_passes(folder):
    assert check(folder, *BUDGET, *TEMPERATURE[1:], f"{N}=8").budget.most == 12
    assert check(folder, *BUDGET[1:], f"{N}=8", "dots.budget.by=predicted", "dots.temperature.anneal_from=0.6")


def test_a_warm_up_as_long_as_the_run_is_said(folder, caplog):
    assert check(folder, *TEMPERATURE, "dots.temperature.warm_up=3", "trainer.total_training_steps=3")
    assert "dots.temperature.warm_up=3: the temperature stays where it begins for all of the run's 3" in caplog.text


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([*BUDGET, f"{N}=8", "dots.budget.least=13"], "dots.budget.most=12: must be least=13 or more"),
        ([*BUDGET, f"{N}=3"], "rollout.n=3 is outside dots.budget.least=4 to dots.budget.most=12"),
        ([*BUDGET, f"{N}=8", "dots.budget.by=predicted"], "needs dots.selection.enable=True, which predicts"),
        ([*BUDGET, f"{N}=8", "actor_rollout_ref.actor.ppo_mini_batch_size=3"], "train_batch_size=4 is no multiple of"),
        ([*BUDGET, f"{N}=8", "dots.budget.least=1"], "verl's gives a rollout that is alone its"),
        ([*BUDGET, f"{N}=8", "algorithm.adv_estimator=rloo"], "it must know groups of any size"),
        ([*BUDGET, f"{N}=8", "actor_rollout_ref.actor.use_dynamic_bsz=False"], "needs .*use_dynamic_bsz=True"),
        ([*BUDGET, f"{N}=8", "data.custom_cls.path=mine.py"], "does not go with dots.budget.enable=True"),
        (
            [*TEMPERATURE, "actor_rollout_ref.rollout.agent.agent_loop_manager_class=null"],
            "agent_loop_manager_class=None does not go with dots.temperature.enable=True",
        ),
        ([*TEMPERATURE, "actor_rollout_ref.rollout.temperature=2"], "rollout.temperature=2.*is outside"),
        ([*TEMPERATURE, "dots.temperature.damping=1"], r"dots.temperature.damping=1.0: must be in \[0, 1\)"),
        (
            [*TEMPERATURE, "dots.temperature.entropy=engine", "actor_rollout_ref.rollout.top_p=0.9"],
            "top_p=0.9 does not go with dots.temperature.entropy=engine",
        ),
        (
            [*TEMPERATURE, "dots.temperature.entropy=engine", "actor_rollout_ref.rollout.logprobs_mode=raw_logprobs"],
            "logprobs_mode=raw_logprobs does not go with dots.temperature.entropy=engine: .*before the temperature",
        ),
        ([*TEMPERATURE, "dots.temperature.low=0"], r"dots.temperature.\[low, high\]"),
        ([*TEMPERATURE, "dots.temperature.target=0"], "dots.temperature.target=0.0: must be above 0 nats"),
        ([*TEMPERATURE, "dots.temperature.target=inf"], "dots.temperature.target=inf: must be a finite number"),
        ([*TEMPERATURE, "dots.temperature.anneal_from=1.2"], r"anneal_from=1.2: must be in \[0, 1\) of the run"),
        (
            [*TEMPERATURE, f"{LOSS}=grpo_rr", "dots.loss.behaviour=engine"],
            "entropy=recomputed does not go with loss_mode=grpo_rr with dots.loss.behaviour=engine",
        ),
    ],
)
def test_e3_that_cannot_work(folder, overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(folder, *overrides)


TOKEN_SUM_NORM = "actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-sum-norm"
FILTER = ["dots.selection.enable=False", "dots.filter.enable=True", "actor_rollout_ref.actor.ppo_mini_batch_size=2"]


def test_filters(folder, caplog):
    assert check(folder, *FILTER, "dots.filter.threshold=0.1").filter.kind == "absolute"
    assert not caplog.records
    assert check(folder, *FILTER, "actor_rollout_ref.actor.use_kl_loss=True")
    assert "even dots.filter.threshold=0 is not quite the same training" in caplog.text
    for overrides, words in (
        (["dots.filter.threshold=-1"], "dots.filter.threshold=-1.0: must be 0 or more"),
        (["dots.filter.kind=quantile", "dots.filter.threshold=1"], "must be 0 or more and below 1"),
        (["dots.filter.kind=relative"], "must be one of absolute, quantile"),
        (["actor_rollout_ref.actor.shuffle=True"], "actor.shuffle=True does not go with dots.filter.enable=True"),
        (["actor_rollout_ref.actor.ppo_mini_batch_size=3"], "train_batch_size=4 is no multiple of"),
        ([f"{LOSS}=geo_mean"], "loss_mode=geo_mean does not go with dots.filter.enable=True"),
        ([f"{LOSS}=kl_cov"], "loss_mode=kl_cov does not go with dots.filter.enable=True"),
        ([TOKEN_SUM_NORM], "loss_scale_factor=null: .* set actor_rollout_ref.actor.loss_scale_factor"),
    ):
        with pytest.raises(ConfigError, match=words):
            check(folder, *FILTER, *overrides)
    assert check(folder, *FILTER, TOKEN_SUM_NORM, "actor_rollout_ref.actor.loss_scale_factor=512")


PREEMPTIVE = [
    "dots.selection.enable=False", "dots.preemptive.enable=True", "dots.preemptive.prompts=8", f"{LOSS}=grpo_rr",
]  # fmt: skip


def test_good_preemptive_sampling_passes(folder):
    assert check(folder, *PREEMPTIVE).preemptive.batches(4) == 2
    assert check(folder, *PREEMPTIVE, "dots.preemptive.updates=6").preemptive.passes(4) == 3
    selection = ["dots.selection.reuse_references=False", "dots.selection.mu=4"]
    assert check(folder, *PREEMPTIVE[1:], *selection).selection.enable
    # Sampling for one step is what verl does: it needs no loss of ours, and goes with everything.
    assert check(folder, "dots.preemptive.enable=True", "dots.adarft.enable=True", "dots.adarft.range=[0,1]")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["dots.preemptive.prompts=6"], "prompts=6 is no multiple of data.train_batch_size=4: a step trains on that"),
        (["dots.preemptive.prompts=0"], "dots.preemptive.prompts=0: must be 1 or more questions, or null"),
        (["dots.preemptive.updates=0"], "dots.preemptive.updates=0: must be 1 or more steps, or null"),
        (["dots.preemptive.updates=3"], "updates=3 is no multiple of the 2 batches"),
        ([f"{LOSS}=vanilla"], "loss_mode=vanilla does not go with dots.preemptive.prompts=8 .* grpo_rr"),
        (["dots.replay.enable=True"], "dots.replay.enable=True does not go with dots.preemptive.enable=True"),
        (["dots.adarft.enable=True", "dots.adarft.difficulty=extra_info.level"], "the target must see the reward"),
        (["dots.temperature.enable=True"], "several steps are sampled at one"),
        (["dots.selection.enable=True"], "set reuse_references to False and mu to a multiple of 2"),
        (
            [
                "dots.preemptive.prompts=16",
                "dots.selection.enable=True",
                "dots.selection.reuse_references=False",
                "dots.selection.mu=8",
            ],
            r"is 6 batches of 4 with 24 questions .dots.selection.mu=8., which .*\(4 batches\) does not divide",
        ),
        (["data.custom_cls.path=mine.py"], "does not go with dots.preemptive.enable=True"),
        (["actor_rollout_ref.rollout.calculate_log_probs=False"], "calculate_log_probs=False does not go with"),
        (["actor_rollout_ref.rollout.temperature=0"], "does not go with dots.preemptive.enable=True: .*greedily"),
    ],
)
def test_preemptive_sampling_that_cannot_work(folder, overrides, words):
    with pytest.raises(ConfigError, match=words):
        check(folder, *PREEMPTIVE, *overrides)


def test_length_penalties(folder):
    on = ["dots.selection.enable=False", "dots.length_penalty.enable=True"]
    assert check(folder, *on).length_penalty.easiest == 0.2
    for override, words in (
        ("dots.length_penalty.easiest=0", "easiest=0.0: must be above 0 and at most 1"),
        ("dots.length_penalty.easiest=20", "easiest=20.0: must be above 0 and at most 1"),
        ("dots.length_penalty.strength=-1", "strength=-1.0: must be above 0"),
        ("trainer.v1.trainer_mode=sync", "trainer_mode=sync does not go with dots.length_penalty.enable=True"),
    ):
        with pytest.raises(ConfigError, match=words):
            check(folder, *on, override)


def test_rows_leave_early_only_where_their_rewards_decide(folder):
    def early(*overrides):
        config = compose(["device=cpu", "dots.filter.enable=True", *overrides])
        return filters_early(config, DotsConfig.from_mapping(OmegaConf.to_container(config.dots, resolve=True)))

    model = f"actor_rollout_ref.model.path={folder / 'model'}"
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
    with pytest.raises(ConfigError, match="data.train_files: 1 of 31 rows of .*row 30: no reward function .*check"):
        check(folder)
    write(folder / "val.parquet", [row("A long question. " * 100), row("Short?")])
    write(folder / "train.parquet", [row(f"What is {i}?", "1") for i in range(30)])
    val = ["data.max_prompt_length=64"]
    with pytest.raises(ConfigError, match="data.val_files: 1 of 2 rows .*at most 64 are allowed"):
        check(folder, *val)
    assert check(folder, *val, "data.filter_overlong_prompts=True")


@pytest.mark.parametrize("preset", ["grpo", "dots", "dots_rr", "adarft", "e3", "dash", "all"])
def test_the_presets_pass(folder, preset):
    adarft = ["dots.adarft.difficulty=extra_info.level"]
    off = ["dots.selection.enable=False"] if preset in ("grpo", "adarft", "e3", "dash") else []
    assert check(folder, f"dots.preset={preset}", "actor_rollout_ref.actor.ppo_mini_batch_size=2", *adarft, *off)
