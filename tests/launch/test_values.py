"""Settings that are refused before Ray starts, and settings that are not: one line each."""

import math
from functools import cache

import pytest
from omegaconf import OmegaConf

from tests.launches import plain_config
from tests.refusals import cases, changed, refused
from verl_dots.engines.server import ENGINE_KWARGS
from verl_dots.launch import start
from verl_dots.launch.compose import compose
from verl_dots.launch.start import validate
from verl_dots.launch.verl_values import TABLE

pytestmark = pytest.mark.usefixtures("cpu_environment")
A, R, V = "actor_rollout_ref.actor", "actor_rollout_ref.rollout", "actor_rollout_ref.rollout.val_kwargs"
REF, PROFILER = "actor_rollout_ref.ref", f"{R}.profiler"
A_MICRO = f"{A}.ppo_micro_batch_size_per_gpu"
R_MICRO, REF_MICRO = (f"{part}.log_prob_micro_batch_size_per_gpu" for part in (R, REF))
FIXED = f"{A}.use_dynamic_bsz=false {R}.log_prob_use_dynamic_bsz=false"  # micro-batches of so many rows
CORRECT = "algorithm.rollout_correction"
REWARD = "reward.custom_reward_function"
# Overrides of one run, see `cases`.
REFUSED = cases(f"""
data.train_batch_size=0|-8|8.5|many|true|null|nan|[8]
data.gen_batch_size,val_batch_size=0|-1
data.gen_batch_size=3
data.max_prompt_length=0|-1|1e3
data.max_response_length=0|inf
data.train_max_samples,val_max_samples,filter_overlong_prompts_workers=0|-2
data.prompt_key=""
data.truncation=middel|null
data.shuffle,filter_overlong_prompts=yes|1
data.dataloader_num_workers,seed=-1|one
data.dataloader_num_workers,filter_overlong_prompts_workers=1025
{A}.ppo_mini_batch_size=0|-4|16|half
{A}.ppo_micro_batch_size,ppo_micro_batch_size_per_gpu,ppo_max_token_len_per_gpu,ppo_epochs=0|-1|1.5
{A}.use_dynamic_bsz=false -> {R}.log_prob_use_dynamic_bsz : excluded
{R}.log_prob_use_dynamic_bsz=false : excluded
{FIXED} {R_MICRO}=4 {A}.ppo_micro_batch_size=4 -> {A_MICRO} : missing
{FIXED} {R_MICRO}=4 -> {A_MICRO} : missing
{FIXED} {A_MICRO}=4 -> {R_MICRO} : missing
{FIXED} {R_MICRO}=4 {A_MICRO}=5 -> {A_MICRO} : size
{FIXED} {A_MICRO}=4 {R_MICRO}=5 -> {R_MICRO} : size
{A}.use_kl_loss=true {REF}.log_prob_use_dynamic_bsz=false {REF_MICRO}=5 -> {REF_MICRO} : size
{A}.use_kl_loss=true {REF}.log_prob_use_dynamic_bsz=false -> {REF_MICRO} : missing
critic.ulysses_sequence_parallel_size=2 : renamed
critic.fsdp.ulysses_sequence_parallel_size=2 algorithm.adv_estimator=gae : size
{A}.fsdp_config.ulysses_sequence_parallel_size=2 : size
{REF}.fsdp_config.ulysses_sequence_parallel_size=2 {A}.use_kl_loss=true : size
{A}.ppo_max_token_len_per_gpu=50
critic.ppo_infer_max_token_len_per_gpu=50 algorithm.adv_estimator=gae : size
critic.ppo_infer_max_token_len_per_gpu=0
{A}.clip_ratio,clip_ratio_low,clip_ratio_high=-0.2|0|nan|inf|false
{A}.clip_ratio_c=1|0.5
{A}.entropy_coeff=nan|inf|small
{A}.kl_loss_coef,optim.weight_decay=-0.1|nan
{A}.use_kl_loss,shuffle=on_
{A}.kl_loss_type,loss_agg_mode,policy_loss.loss_mode=low_var|mean|gpso
{A}.kl_loss_type,policy_loss.loss_mode=null : choice
{A}.loss_scale_factor,tau_pos,policy_loss.dro_beta,ulysses_sequence_parallel_size,fsdp_config.fsdp_size=0
{A}.policy_loss.clip_cov_lb=6
{A}.policy_loss.clip_cov_ratio,ppo_kl_coef=-1
{A}.policy_loss.loss_mode=dro -> {A}.policy_loss.dro_beta : missing
{A}.strategy=fsdp3|fsdp|megatron
{A}.grad_clip=0.5 : renamed
{A}.ulysses_sequence_parallel_size=2
+{A}.clip_rato=0.2 : verl
{A}.optim.lr=nan|inf|-1e-6|fast|"1e-6"|null
{A}.optim.clip_grad,num_cycles=0|-1|nan
{A}.optim.lr_warmup_steps=-2|0.1
{A}.optim.lr_warmup_steps_ratio,min_lr_ratio=1.5|-0.1
{A}.optim.betas=[0.9]|[0.9,1]|[0.9,nan]|0.9
{A}.optim.lr_scheduler_type,warmup_style=linear
{A}.optim.optimizer,optimizer_impl=AdamX|null
{A}.optim.optimizer=Optimizer|LBFGS : choice
{A}.optim.override_optimizer_config={{nosuch:1}}|{{eps:-1}} : range
{A}.optim.override_optimizer_config=5
{A}.fsdp_config.model_dtype,mixed_precision.param_dtype,param_offload=int8
actor_rollout_ref.model.lora_rank=-1
actor_rollout_ref.model.path=""|models/nope|tests/nope
actor_rollout_ref.ref.log_prob_max_token_len_per_gpu=0
actor_rollout_ref.model.lora_adapter_path=./nowhere : file
{R}.agent.default_agent_loop=single_turn : choice
{R}.agent.agent_loop_config_path=nowhere.yaml : file
{R}.agent.agent_loop_manager_class=nowhere.Manager|Manager : file
+{R}.checkpoint_manager_class=nowhere.Manager : file
{R}.multi_turn.tool_config_path,function_tool_path=nowhere.yaml : file
{R}.multi_turn.format=hermess : choice
{R}.multi_turn.enable=true : excluded
{R}.multi_turn.enable=true {R}.agent.default_agent_loop=tool_agent -> {R}.multi_turn.tool_config_path : missing
{R}.load_format=zz|gguf : choice
{R}.checkpoint_engine.backend=zz|nccl|null : excluded
{R}.trace.backend=zz : choice
global_profiler.tool=zz : choice
transfer_queue.backend.storage_backend=zz|null : choice
trainer.v1.sampler.max_off_policy_threshold=0 : range
trainer.v1.sampler.max_off_policy_threshold=0 trainer.v1.trainer_mode=colocate_async : range
data.gen_batch_size=2 trainer.v1.trainer_mode=colocate_async : excluded
trainer.v1.trainer_mode=separate_async : excluded
data.tool_config_path,function_tool_path=nowhere.yaml : file
trainer.checkpoint_callback_class=nowhere.Callback : file
trainer.v1.sampler.custom_sampler.path=nowhere.py trainer.v1.sampler.custom_sampler.name=Sampler : file
{A}.fsdp_config.entropy_from_logits_chunk_size=-1 : range
reward.reward_model.nnodes=-1 : range
reward.sandbox_fusion.max_concurrent,memory_limit_mb=-1|-5 : range
{R}.name=vllm
{R}.name,dtype,mode=sync
{R}.n=0|-1|2.5|null
{R}.n=1 algorithm.adv_estimator=rloo
{R}.temperature=-1|nan|0|hot
{R}.top_p=1.5|0|-0.1|nan|true
{R}.top_k=-2|1.5|null
{R}.do_sample,enforce_eager,calculate_log_probs=sure
{R}.calculate_log_probs=null
{R}.gpu_memory_utilization=0|1.1|90
{R}.tensor_model_parallel_size=0|2
{R}.data_parallel_size,seed=-1
{R}.max_model_len=40|0
{R}.log_prob_max_token_len_per_gpu=-1|16
{R}.max_num_seqs,max_num_batched_tokens,log_prob_micro_batch_size_per_gpu,prompt_length,agent.num_workers=0
{R}.agent.num_workers=1025
{R}.checkpoint_engine.update_weights_bucket_megabytes=0
{R}.over_sample_rate=1
+{R}.repetition_penalty=0
{V}.n,temperature,top_p,top_k,do_sample=-5|inf
algorithm.adv_estimator=gropo|GRPO|null|remax|gdpo|optimal_token_baseline : choice
algorithm.pf_ppo.reweight_method=null algorithm.use_pf_ppo=true : choice
algorithm.gamma,lam=1.1|-0.1|nan
algorithm.kl_penalty,kl_ctrl.type,rollout_correction.rollout_is,rollout_correction.bypass_mode=tokens
{CORRECT}.rollout_is_threshold=-1|0|nan|abc|[2]|"3_2"|"2_3" {CORRECT}.rollout_is=token
{CORRECT}.rollout_is_threshold=null {CORRECT}.rollout_is=token : missing
{CORRECT}.rollout_rs_threshold=-1|0|nan|"1.2_5"|"5_0.5" {CORRECT}.rollout_rs=token_k1
{CORRECT}.rollout_rs_threshold="0.5_2"|-0.5 {CORRECT}.rollout_rs=token_k2
{CORRECT}.rollout_is=token {R}.calculate_log_probs=false -> {R}.calculate_log_probs : excluded
{CORRECT}.bypass_mode=true {R}.calculate_log_probs=false -> {R}.calculate_log_probs : excluded
{CORRECT}.rollout_is=token {CORRECT}.bypass_mode=true : excluded
{CORRECT}.rollout_rs=token_k1 {CORRECT}.rollout_rs_threshold="0.5_2" {CORRECT}.bypass_mode=true : excluded
{CORRECT}.loss_type=reinforce {CORRECT}.bypass_mode=true : excluded
{A}.policy_loss.loss_mode=bypass_mode|geo_mean : excluded
{A}.loss_agg_mode=seq-mean-token-sum-norm -> {A}.loss_scale_factor : missing
{A}.loss_scale_factor=null {A}.loss_agg_mode=seq-mean-token-sum-norm : missing
critic.loss_scale_factor=null critic.loss_agg_mode=seq-mean-token-sum-norm algorithm.adv_estimator=gae : missing
critic.ppo_mini_batch_size=3|16 algorithm.adv_estimator=gae : size
algorithm.use_pf_ppo=true : choice
algorithm.norm_adv_by_std_in_grpo=false algorithm.adv_estimator=grpo_vectorized : excluded
{R}.n=1 algorithm.adv_estimator=grpo_rr : excluded
{R}.n=1 algorithm.adv_estimator=rloo : excluded
algorithm.kl_ctrl.kl_coef=-1|nan
algorithm.kl_ctrl.horizon,target_kl=0
algorithm.use_kl_in_reward,norm_adv_by_std_in_grpo=2|std
trainer.total_epochs,total_training_steps=0|-1|1.5|all
trainer.save_freq,test_freq=-2|0.5|never
trainer.nnodes,n_gpus_per_node,max_actor_ckpt_to_keep=0|-1
trainer.n_gpus_per_node=3 -> {A}.ppo_mini_batch_size : size
trainer.resume_mode=atuo|never|null
trainer.resume_mode=resume_path -> trainer.resume_from_path : missing
trainer.resume_from_path=runs/mine/global_step_5 : excluded
trainer.val_only=true trainer.val_before_train=false : excluded
trainer.critic_warmup=2 : excluded
{A}.checkpoint.load_contents,save_contents=[extra]|[optimizer,extra] : missing
dots.refill.within=[0,0]|[1,1] dots.refill.enable=true
trainer.logger=[consol]|tensorbord|[console,mlflow]
trainer.critic_warmup,log_val_generations,esi_redundant_time=-1|nan
trainer.val_before_train,val_only,balance_batch=first|0|null
trainer.device=gpu
trainer.project_name,experiment_name,default_local_dir=null|""
trainer.v1.trainer_mode,sampler.max_off_policy_strategy=dot|async
trainer.use_v1=false
critic.optim.lr=nan
critic.cliprange_value,ppo_epochs=0
reward.num_workers=0|two|1025
reward.reward_manager.name,source=registered
reward.reward_manager.source=importlib -> reward.reward_manager.module.path
{REWARD}.path=nowhere.py|pkg://nowhere.rewards
{REWARD}.name=compute_scores|null|SCORERS
+{REWARD}.reward_kwarg.math_workers=2 -> {REWARD}.reward_kwarg : unknown
+{REWARD}.reward_kwargs.math_timeout_seconds=-1|nan|long|1e10|1000001 -> {REWARD}.reward_kwargs
+{REWARD}.reward_kwargs.math_timeout,math_workers=0 -> {REWARD}.reward_kwargs
+{REWARD}.reward_kwargs.math_workers=1025 -> {REWARD}.reward_kwargs
+{REWARD}.reward_kwargs=5 -> {REWARD}.reward_kwargs
custom_reward_function.path,name=mine.py : renamed
+custom_reward_function.reward_kwargs.a=1 : renamed
reward_model.reward_manager,enable=true : renamed
sandbox_fusion.url=http://localhost : renamed
transfer_queue.backend.SimpleStorage.num_data_storage_units=0|1025
transfer_queue.backend.SimpleStorage.total_storage_size=0|100000|1000000|true : range
ray_kwargs.ray_init.num_cpus=0
+ray_kwargs.ray_init.runtime_env.env_vars=text -> ray_kwargs.ray_init.runtime_env.env_vars
+ray_kwargs.ray_init.runtime_env.env_vars.HF_TOKEN=5|null -> ray_kwargs.ray_init.runtime_env.env_vars.HF_TOKEN
""")
# Overrides of a run each.
ACCEPTED = f"""
data.gen_batch_size=4 data.max_prompt_length=64 data.train_max_samples=-1 data.truncation=left data.seed=null
data.train_max_samples=12 data.truncation=middle data.shuffle=false data.dataloader_num_workers=0
data.filter_overlong_prompts=true {R}.max_model_len=96 {R}.gpu_memory_utilization=1
{A}.ppo_mini_batch_size=2 {A}.ppo_epochs=3 {A}.clip_ratio_high=0.28 {A}.clip_ratio_c=10 {A}.entropy_coeff=0.001
{A}.ppo_mini_batch_size=3 {A}.clip_ratio_low=10 {A}.entropy_coeff=0 {A}.kl_loss_coef=0 {A}.optim.weight_decay=0
{FIXED} {A_MICRO}=4 {R_MICRO}=4
{FIXED} {A_MICRO}=2 {R_MICRO}=32 dots.refill.enable=true
{REF}.log_prob_use_dynamic_bsz=false {REF}.log_prob_micro_batch_size_per_gpu=5
{A}.use_kl_loss=true {A}.kl_loss_type=k3+ {A}.loss_agg_mode=seq-mean-token-mean {A}.policy_loss.loss_mode=gspo
{A}.policy_loss.loss_mode=grpo_rr
{A}.optim.lr=0 {A}.optim.lr_warmup_steps=-1 {A}.optim.lr_warmup_steps_ratio=0.1 {A}.optim.lr_scheduler_type=cosine
{A}.optim.lr=1e-6 {A}.optim.lr_warmup_steps=10 {A}.optim.betas=[0.9,0.95] {A}.fsdp_config.model_dtype=bf16
{A}.optim.lr=1 {A}.optim.optimizer=SGD
{R}.temperature=0.6 {R}.top_p=0.95 {R}.top_k=-1 {V}.n=16 {V}.temperature=0.6 {V}.do_sample=true
{R}.temperature=1 {R}.top_p=1 {R}.top_k=20 +{R}.repetition_penalty=1.1 {V}.temperature=0
{CORRECT}.rollout_is=token {CORRECT}.rollout_is_threshold="0.5_2"
{CORRECT}.rollout_is=sequence {CORRECT}.rollout_rs=token_k1 {CORRECT}.rollout_rs_threshold="0.5_2"
{CORRECT}.bypass_mode=true {R}.agent.default_agent_loop=tool_agent
{A}.optim.optimizer=SGD {A}.optim.override_optimizer_config={{momentum:0.9}}
algorithm.adv_estimator=rloo algorithm.gamma=0 algorithm.rollout_correction.rollout_is=token
algorithm.adv_estimator=reinforce_plus_plus algorithm.kl_ctrl.type=adaptive
algorithm.adv_estimator=gae critic.model.path=${{actor_rollout_ref.model.path}}
algorithm.use_kl_in_reward=true algorithm.kl_penalty=low_var_kl
trainer.total_epochs=1 trainer.total_training_steps=5 trainer.save_freq=10 trainer.test_freq=0
trainer.save_freq=-1 trainer.resume_mode=disable trainer.logger=[console,file] trainer.max_actor_ckpt_to_keep=1
trainer.resume_mode=resume_path trainer.resume_from_path=runs/mine/global_step_5 trainer.logger=console
trainer.n_gpus_per_node=2 reward.reward_manager.name=dapo
trainer.v1.trainer_mode=sync
+{REWARD}.reward_kwargs.math_timeout_seconds=10 +{REWARD}.reward_kwargs.math_workers=2
dots.reward_range=[-1,1] dots.adarft.beta=-0.5
dots.filter.threshold=0.1 dots.filter.enable=true
dots.filter.threshold=1.49 dots.filter.enable=true
dots.filter.threshold=0.9 dots.filter.kind=quantile dots.filter.enable=true
dots.preset=grpo dots.seed=7
"""


@cache
def base(folder):
    """A run that starts: 24 questions, batches of 8 with 4 responses each, a model of one layer."""
    settings = {
        "data.train_files": folder / "train.parquet",
        "data.val_files": folder / "val.parquet",
        "data.train_batch_size": 8,
        "data.max_prompt_length": 48,
        "data.max_response_length": 32,
        "actor_rollout_ref.model.path": folder / "model",
        f"{A}.ppo_mini_batch_size": 4,
        f"{R}.n": 4,
        "dots.difficulty.cache": folder / "cache",
    }
    config = changed(plain_config(), [f"{key}={value}" for key, value in settings.items()])
    for part in (PROFILER, "critic", "actor_rollout_ref.ref.fsdp_config", f"{A}.profiler", f"{A}.fsdp_config"):
        OmegaConf.resolve(OmegaConf.select(config, part))  # what no line changes; each line would do it again
    return config


@pytest.mark.parametrize(("overrides", "key", "reason"), REFUSED)
def test_a_wrong_setting_is_refused(run_folder, overrides, key, reason):
    with refused(key, reason or None):
        validate(changed(base(run_folder), overrides.split()))


@pytest.mark.parametrize("overrides", ACCEPTED.strip().splitlines())
def test_right_settings_are_accepted(run_folder, overrides):
    assert validate(changed(base(run_folder), overrides.split()))


def test_a_build_of_vllm_for_cpus_generates_on_a_cpu_and_does_not_train(run_folder, monkeypatch):
    config = changed(base(run_folder), [f"{R}.name=vllm"])
    monkeypatch.setattr(start, "versions", lambda: {"vllm": "0.24.0+cpu"})
    with refused(f"{R}.name", "excluded"):
        validate(config, data=False)
    validate(config, data=False, train=False)
    repeatable = changed(config, [f"{R}.full_determinism=True"])
    with refused(f"{R}.full_determinism", "excluded"):
        validate(repeatable, data=False, train=False)
    # A worker class of one's own may do better, as that of tests/vllm_cpu does.
    own = changed(repeatable, [f"+{R}.engine_kwargs.vllm.worker_extension_cls=trainable_worker.TrainableWorker"])
    validate(own, data=False)
    monkeypatch.setattr(start, "versions", lambda: {"vllm": "0.24.0"})
    with refused(f"{R}.name", "excluded"):
        validate(own, data=False)
    with refused(f"{R}.name", "excluded"):
        validate(config, data=False, train=False)


def test_a_model_that_is_neither_a_folder_nor_one_of_the_hub_is_refused_before_the_data(run_folder, cached_model):
    wrong_data = changed(base(run_folder), ["data.prompt_key=question"])
    config = changed(wrong_data, ["actor_rollout_ref.model.path=owner/nowhere"])
    with refused("actor_rollout_ref.model.path", "file"):
        validate(config)
    validate(config, data=False)  # which asks nobody
    with refused("data.train_files", "data"):  # the next check
        validate(changed(wrong_data, ["actor_rollout_ref.model.path=owner/model"]))


def test_the_table_has_no_key_that_verl_does_not():
    optional = {f"{R}.repetition_penalty", f"{V}.repetition_penalty"}
    optional |= {f"{R}.engine_kwargs.hf.{name}" for name in ENGINE_KWARGS}
    missing = {key for key in TABLE if OmegaConf.select(plain_config(), key, default=math.nan) is math.nan}
    assert missing == optional


def test_a_run_on_gpus_whose_engine_nobody_named(inputs):
    with refused("actor_rollout_ref.rollout.name", "missing", "choose vllm or sglang", "device=cpu"):
        validate(compose([each for each in inputs.overrides() if not each.startswith("device")]))
