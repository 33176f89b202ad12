"""Settings that are refused before Ray starts, and settings that are not: one line each."""

import math
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from transformers import Qwen2Config, Qwen2ForCausalLM

from data_prep.byte_tokenizer import build_tokenizer
from tests.refusals import cases, changed, refused
from verl_dots.engines.environment import prepare_environment
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate
from verl_dots.launch.verl_values import TABLE

A, R, V = "actor_rollout_ref.actor", "actor_rollout_ref.rollout", "actor_rollout_ref.rollout.val_kwargs"
PROFILER = f"{R}.profiler"
REWARD = "reward.custom_reward_function"
# Overrides of one run, see `cases`.
REFUSED = cases(f"""
data.train_batch_size=0|-8|8.5|many|true|null|nan|[8]
data.gen_batch_size=0|3
data.val_batch_size=-1
data.max_prompt_length=0|-1|1e3
data.max_response_length=0|inf
data.train_max_samples=0|-2
data.val_max_samples=0
data.prompt_key=""
data.truncation=middel|null
data.shuffle=yes|1
data.filter_overlong_prompts=maybe
data.filter_overlong_prompts_workers=0
data.dataloader_num_workers=-1
data.seed=-1|one
{A}.ppo_mini_batch_size=0|-4|16|half
{A}.ppo_micro_batch_size=0
{A}.ppo_micro_batch_size_per_gpu=0|-1
{A}.ppo_micro_batch_size_per_gpu=5 {A}.use_dynamic_bsz=false
{A}.use_dynamic_bsz=false : verl
{A}.ppo_max_token_len_per_gpu=0|50
{A}.ppo_epochs=0|1.5
{A}.clip_ratio=-0.2|0|nan
{A}.clip_ratio_low=-1
{A}.clip_ratio_high=inf|false
{A}.clip_ratio_c=1|0.5
{A}.entropy_coeff=nan|inf|small
{A}.kl_loss_coef=-0.1|nan
{A}.kl_loss_type=low_var|k4
{A}.use_kl_loss=on_
{A}.loss_agg_mode=token-men|mean
{A}.loss_scale_factor=0
{A}.policy_loss.loss_mode=vanila|gpso
{A}.policy_loss.clip_cov_ratio=2
{A}.policy_loss.clip_cov_lb=6
{A}.policy_loss.ppo_kl_coef=-1
{A}.policy_loss.dro_beta=0
{A}.policy_loss.loss_mode=dro -> {A}.policy_loss.dro_beta : missing
{A}.tau_pos=0
{A}.shuffle=no_
{A}.strategy=fsdp3|fsdp|megatron
{A}.grad_clip=0.5 : renamed
{A}.ulysses_sequence_parallel_size=0|2
+{A}.clip_rato=0.2 : verl
{A}.optim.lr=nan|inf|-1e-6|fast|"1e-6"|null
{A}.optim.weight_decay=-0.1|nan
{A}.optim.clip_grad=0|-1|nan
{A}.optim.lr_warmup_steps=-2|0.1
{A}.optim.lr_warmup_steps_ratio=1.5|-0.1
{A}.optim.min_lr_ratio=2
{A}.optim.num_cycles=0
{A}.optim.betas=[0.9]|[0.9,1]|[0.9,nan]|0.9
{A}.optim.lr_scheduler_type=linear
{A}.optim.warmup_style=cosin
{A}.optim.optimizer=AdamX
{A}.optim.optimizer_impl=torch.optimizers
{A}.fsdp_config.model_dtype=fp23
{A}.fsdp_config.mixed_precision.param_dtype=int8
{A}.fsdp_config.fsdp_size=0
{A}.fsdp_config.param_offload=sometimes
actor_rollout_ref.model.lora_rank=-1
actor_rollout_ref.model.path=""|models/nope|tests/nope
actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=0
{R}.name=vlm|vllm
{R}.n=0|-1|2.5|null
{R}.n=1 algorithm.adv_estimator=rloo
{R}.temperature=-1|nan|0|hot
{R}.top_p=1.5|0|-0.1|nan|true
{R}.top_k=-2|1.5|null
{R}.do_sample=sure
{R}.gpu_memory_utilization=0|1.1|90
{R}.tensor_model_parallel_size=0|2
{R}.data_parallel_size=-1
{R}.max_model_len=40|0
{R}.max_num_seqs=0
{R}.max_num_batched_tokens=0
{R}.log_prob_max_token_len_per_gpu=-1|16
{R}.log_prob_micro_batch_size_per_gpu=0
{R}.dtype=float23
{R}.seed=-1
{R}.mode=sync
{R}.over_sample_rate=1
{R}.prompt_length=0
{R}.enforce_eager=never
{R}.calculate_log_probs=null
{R}.agent.num_workers=0
{R}.checkpoint_engine.update_weights_bucket_megabytes=0
+{R}.repetition_penalty=0
{V}.n=0|-4
{V}.temperature=-0.5|inf
{V}.top_p=2|0
{V}.top_k=-5
{V}.do_sample=1
algorithm.adv_estimator=gropo|GRPO|null
algorithm.gamma=1.1|nan
algorithm.lam=-0.1
algorithm.kl_penalty=kl2
algorithm.kl_ctrl.type=adaptiv
algorithm.kl_ctrl.kl_coef=-1|nan
algorithm.kl_ctrl.horizon=0
algorithm.kl_ctrl.target_kl=0
algorithm.use_kl_in_reward=2
algorithm.norm_adv_by_std_in_grpo=std
algorithm.rollout_correction.rollout_is=tokens
algorithm.rollout_correction.bypass_mode=often
trainer.total_epochs=0|-1|1.5
trainer.total_training_steps=0|-3|all
trainer.save_freq=-2|0.5
trainer.test_freq=-5|never
trainer.nnodes=0
trainer.n_gpus_per_node=0|-1
trainer.n_gpus_per_node=3 -> {A}.ppo_mini_batch_size : size
trainer.resume_mode=atuo|never|null
trainer.resume_mode=resume_path -> trainer.resume_from_path : missing
trainer.logger=[consol]|tensorbord|[console,mlflow]
trainer.max_actor_ckpt_to_keep=0|-1
trainer.critic_warmup=-1
trainer.log_val_generations=-1
trainer.esi_redundant_time=nan
trainer.val_before_train=first
trainer.val_only=0
trainer.balance_batch=null
trainer.device=gpu
trainer.project_name=""
trainer.experiment_name=null
trainer.default_local_dir=null|""
trainer.v1.trainer_mode=dot|async
trainer.v1.sampler.max_off_policy_strategy=wate
trainer.use_v1=false
critic.optim.lr=nan
critic.cliprange_value=0
critic.ppo_epochs=0
reward.num_workers=0|two
reward.reward_manager.name=nave
reward.reward_manager.source=registered
reward.reward_manager.source=importlib -> reward.reward_manager.module.path
{REWARD}.path=nowhere.py|pkg://nowhere.rewards
{REWARD}.name=compute_scores|null|SCORERS
+{REWARD}.reward_kwarg.math_workers=2 -> {REWARD}.reward_kwarg : unknown
+{REWARD}.reward_kwargs.math_timeout=5 -> {REWARD}.reward_kwargs
+{REWARD}.reward_kwargs.math_timeout_seconds=-1|nan|long -> {REWARD}.reward_kwargs
+{REWARD}.reward_kwargs.math_workers=0 -> {REWARD}.reward_kwargs
+{REWARD}.reward_kwargs=5 -> {REWARD}.reward_kwargs
custom_reward_function.path=mine.py : renamed
custom_reward_function.name=score : renamed
reward_model.reward_manager=dapo : renamed
reward_model.enable=true : renamed
sandbox_fusion.url=http://localhost : renamed
transfer_queue.backend.SimpleStorage.num_data_storage_units=0
ray_kwargs.ray_init.num_cpus=0
dots.seed=-1|1.5
dots.poll_seconds=0
dots.reward_range=[1,0]|[0]|[0,inf]
dots.adarft.beta=5|nan
dots.adarft.beta=-0.1 dots.adarft.enable=true
dots.adarft.eta=-1
dots.adarft.sensitivity=0
dots.adarft.initial=101
dots.budget.least=13 -> dots.budget.most
dots.budget.least=0
dots.budget.widen=-1
dots.difficulty.device=tpu
dots.difficulty.cache=""
dots.difficulty.batch_tokens=0
dots.difficulty.half_life=0
dots.filter.threshold=-1
dots.filter.threshold=1 dots.filter.kind=quantile
dots.filter.threshold=1.0 dots.filter.kind=quantile dots.filter.enable=true
dots.filter.threshold=1.5 dots.filter.enable=true
dots.filter.threshold=0.75 dots.filter.enable=true algorithm.norm_adv_by_std_in_grpo=false
dots.filter.threshold=1 dots.filter.enable=true algorithm.adv_estimator=rloo
dots.filter.kind=share
dots.length_penalty.easiest=0
dots.length_penalty.strength=-1
dots.preemptive.prompts=0
dots.preemptive.updates=0
dots.replay.delta=0
dots.replay.capacity=0
dots.selection.tau=-1
dots.selection.mu=0
dots.selection.references=1
dots.selection.alpha=2
dots.temperature.low=2
dots.temperature.damping=1
""")
ACCEPTED = cases(f"""
data.train_batch_size=8
{A}.optim.lr=0|1e-6|1
data.gen_batch_size=4
data.max_prompt_length=64
data.train_max_samples=-1|12
data.truncation=left|middle
data.shuffle=false
data.filter_overlong_prompts=true
data.dataloader_num_workers=0
data.seed=null
{A}.ppo_mini_batch_size=2|3
{A}.use_dynamic_bsz=false {A}.ppo_micro_batch_size_per_gpu=4 {R}.log_prob_micro_batch_size_per_gpu=4
{A}.ppo_epochs=3
{A}.clip_ratio_high=0.28
{A}.clip_ratio_low=10
{A}.clip_ratio_c=10
{A}.entropy_coeff=0.001|0
{A}.use_kl_loss=true {A}.kl_loss_type=k3+
{A}.kl_loss_coef=0
{A}.loss_agg_mode=seq-mean-token-mean
{A}.policy_loss.loss_mode=gspo|grpo_rr
{A}.optim.weight_decay=0
{A}.optim.lr_warmup_steps=-1|10
{A}.optim.lr_warmup_steps_ratio=0.1
{A}.optim.lr_scheduler_type=cosine
{A}.optim.optimizer=SGD
{A}.optim.betas=[0.9,0.95]
{A}.fsdp_config.model_dtype=bf16
{R}.n=8
{R}.temperature=0.6|1
{R}.top_p=0.95|1
{R}.top_k=-1|20
{R}.max_model_len=96
{R}.gpu_memory_utilization=1
+{R}.repetition_penalty=1.1
{V}.n=16 {V}.temperature=0.6 {V}.do_sample=true
{V}.temperature=0
algorithm.adv_estimator=rloo|reinforce_plus_plus
algorithm.adv_estimator=gae critic.model.path=${{actor_rollout_ref.model.path}}
algorithm.gamma=0
algorithm.use_kl_in_reward=true algorithm.kl_penalty=low_var_kl
algorithm.kl_ctrl.type=adaptive
algorithm.rollout_correction.rollout_is=token
trainer.total_epochs=1
trainer.total_training_steps=5
trainer.save_freq=10|-1
trainer.test_freq=0
trainer.resume_mode=disable
trainer.resume_mode=resume_path trainer.resume_from_path=runs/mine/global_step_5
trainer.logger=[console,file]|console
trainer.max_actor_ckpt_to_keep=1
trainer.n_gpus_per_node=2
trainer.v1.trainer_mode=sync
reward.reward_manager.name=dapo
+{REWARD}.reward_kwargs.math_timeout_seconds=10
+{REWARD}.reward_kwargs.math_workers=2
{REWARD}.path=null
dots.reward_range=[-1,1] dots.adarft.beta=-0.5
dots.filter.threshold=0.1 dots.filter.enable=true
dots.filter.threshold=1.49 dots.filter.enable=true
dots.filter.threshold=0.9 dots.filter.kind=quantile dots.filter.enable=true
dots.preset=grpo
dots.seed=7
""")


@pytest.fixture(scope="module", autouse=True)
def on_a_cpu():
    """The environment as a run on a CPU sets it; restored afterwards."""
    before = dict(os.environ)
    prepare_environment(cpu=True)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A run that starts: 24 questions, batches of 8 with 4 responses each, a model of one layer."""
    folder = tmp_path_factory.mktemp("values")
    rows = [
        {
            "data_source": "arithmetic",
            "prompt": [{"role": "user", "content": f"What is {i} plus 1?"}],
            "reward_model": {"style": "rule", "ground_truth": str(i + 1)},
            "extra_info": {"index": i, "difficulty": 50},
        }
        for i in range(24)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=300)
    Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2)).save_pretrained(folder / "model")
    build_tokenizer().save_pretrained(folder / "model")
    settings = {
        "device": "cpu",
        "data.train_files": folder / "train.parquet",
        "data.val_files": folder / "train.parquet",
        "data.train_batch_size": 8,
        "data.max_prompt_length": 48,
        "data.max_response_length": 32,
        "actor_rollout_ref.model.path": folder / "model",
        f"{A}.ppo_mini_batch_size": 4,
        f"{R}.n": 4,
        "dots.difficulty.cache": folder / "cache",
    }
    config = compose([f"{key}={value}" for key, value in settings.items()])
    for part in (PROFILER, "critic", "actor_rollout_ref.ref.fsdp_config", f"{A}.profiler", f"{A}.fsdp_config"):
        OmegaConf.resolve(OmegaConf.select(config, part))  # what no line changes; each line would do it again
    return config


@pytest.mark.parametrize(("overrides", "key", "reason"), REFUSED)
def test_a_wrong_setting_is_refused(base, overrides, key, reason):
    with refused(key, reason or None):
        validate(changed(base, overrides.split()))


@pytest.mark.parametrize("overrides", [overrides for overrides, _, _ in ACCEPTED])
def test_a_right_setting_is_accepted(base, overrides):
    assert validate(changed(base, overrides.split()))


def test_the_table_has_no_key_that_verl_does_not():
    config = compose(["device=cpu"])
    optional = {f"{R}.repetition_penalty", f"{V}.repetition_penalty"}
    missing = {key for key in TABLE if OmegaConf.select(config, key, default=math.nan) is math.nan}
    assert missing == optional
