"""Names of verl that `bridge/trainer` and `training` rely on."""

from verl_dots.bridge.contract.part import BUFFER, TRAINER, V1, WORKERS, Part

PARTS = (
    Part(
        TRAINER,
        "bridge/trainer/bridge_trainer.py",
        overridden="_init_dataloader() _next_train_batch(num_prompts) _submit_batch_to_rollout(batch) _validate() "
        "_save_checkpoint() _load_checkpoint() _log_rollout_data(batch timing_raw rollout_data_dir) "
        "_compute_metrics(batch metrics timing_raw global_steps epoch) _shutdown_dump_executor() "
        "_val_metrics_update(data_sources sample_uids reward_extra_infos_dict sample_turns expected_acc_counts)",
        called="_fetch_one_gen_batch() _compute_reward_colocate(batch metrics) _compute_old_log_prob(batch metrics) "
        "_compute_ref_log_prob(batch metrics) _compute_values(batch metrics) _compute_advantage(batch metrics) "
        "_update_critic(batch metrics) _update_actor(batch metrics) on_sample_begin() on_sample_end() "
        "on_step_end()",
        attributes="config global_steps timing_raw replay_buffer actor_rollout_wg reward_loop_manager processor "
        "checkpoint_manager agent_loop_manager curr_step_profile total_training_steps val_dataset val_dataloader",
    ),
    Part("verl.utils.tensordict_utils", "bridge/trainer/validation_batches.py", called="get_tensordict(tensor_dict)"),
    Part("verl.utils.dataset.rl_dataset", "bridge/trainer/validation_batches.py", attributes="RLHFDataset"),
    Part("verl.workers.config.HFModelConfig", "bridge/trainer/bridge_trainer.py", attributes="hf_config"),
    Part(
        TRAINER,
        "bridge/trainer/mini_batches.py",
        overridden="_get_required_batch_multiple(dp_size)",
        called="_balance_batch(batch metrics)",
        attributes="config use_critic use_reference_policy ref_in_actor actor_rollout_wg critic_wg ref_policy_wg",
    ),
    Part(TRAINER, "bridge/trainer/announced.py", attributes="config checkpoint_callback global_steps"),
    Part(TRAINER, "bridge/trainer/watch.py", attributes="actor_rollout_wg critic_wg use_critic llm_server_manager"),
    Part("verl.single_controller.ray.RayWorkerGroup", "bridge/trainer/watch.py", attributes="workers"),
    Part("verl.workers.rollout.llm_server.LLMServerManager", "bridge/trainer/watch.py", called="get_replicas()"),
    Part("verl.workers.rollout.replica.RolloutReplica", "bridge/trainer/watch.py", attributes="servers"),
    Part(f"{V1}.agent_loop_tq.AgentLoopManagerTQ", "bridge/trainer/watch.py", attributes="agent_loop_workers"),
    Part("transfer_queue.interface", "bridge/trainer/watch.py", attributes="_TQ_STORAGE"),
    Part(
        "verl.trainer.ppo.checkpoint_callback.CheckpointCallback",
        "bridge/trainer/announced.py",
        called="on_save(trainer global_step checkpoint_dir async_save)",
    ),
    Part(
        TRAINER,
        "bridge/trainer/patient_trainer.py",
        overridden="__init__(config) init() fit(agent_loop_manager) _init_resource_pool_mgr()",
        attributes="config global_steps timing_raw replay_buffer reward_loop_manager role_worker_mapping",
    ),
    Part(
        TRAINER,
        "training/recorded_trainer.py",
        overridden="__init__(config) step(metrics timing_raw) on_validate_begin() on_train_begin()",
        called="on_validate_end()",
        attributes="logger total_training_steps steps_per_epoch",
    ),
    Part(f"{V1}.trainer_base", "training/recorded_trainer.py", written="training/global_step"),
    Part(TRAINER, "training/rescued_trainer.py", attributes="train_dataloader"),
    Part(
        TRAINER,
        "training/trainer.py",
        overridden="_step_once(metrics timing_raw sample_batch_size) prepare_step() on_init_end()",
        attributes="use_reference_policy train_dataset",
    ),
    Part(TRAINER, "training/pipeline.py", attributes="tokenizer processor resource_pool_manager total_training_steps"),
    Part(f"{V1}.PPOTrainerColocateAsync", "training/async_trainer.py", overridden="on_train_begin()"),
    Part(f"{V1}.PPOTrainerColocateAsync", "bridge/trainer/bridge_trainer.py", attributes="_restored_tq_prompt_count"),
    Part(f"{V1}.trainer_base", "training/modes.py", attributes="register_trainer TRAINER_REGISTRY"),
    Part(BUFFER, "bridge/trainer/bridge_trainer.py", called="sample(global_steps partition_id batch_size)"),
    Part(
        "verl.experimental.reward_loop.RewardLoopManager",
        "bridge/trainer/patient_trainer.py",
        attributes="reward_loop_workers",
    ),
    Part(
        "verl.checkpoint_engine.CheckpointEngineManager",
        "bridge/trainer/bridge_trainer.py",
        called="sleep_replicas() update_weights(global_steps)",
    ),
    Part(
        "verl.experimental.reward_loop.RewardLoopManager",
        "bridge/trainer/bridge_trainer.py",
        attributes="reward_loop_worker_handles",
    ),
    Part(
        "verl.single_controller.base.worker.Worker",
        "bridge/trainer/mini_batches.py",
        called="_query_dispatch_info(mesh_name)",
    ),
    Part(f"{WORKERS}.ActorRolloutRefWorker", "bridge/trainer/bridge_trainer.py", called="set_loss_fn(loss_fn)"),
    Part(f"{WORKERS}.ActorRolloutRefWorker", "bridge/trainer/workers.py", attributes="actor_worker_cls ref_worker_cls"),
    Part(
        f"{WORKERS}.TrainingWorker",
        "bridge/trainer/workers.py",
        overridden="__init__(config) save_checkpoint(local_path hdfs_path global_step max_ckpt_to_keep)",
        attributes="engine_config",
    ),
    Part(
        "verl.single_controller.base.decorator",
        "bridge/trainer/workers.py",
        called="register(dispatch_mode)",
        attributes="Dispatch",
    ),
    Part("verl.single_controller.ray.ResourcePoolManager", "training/pipeline.py", attributes="resource_pool_dict"),
    Part(f"{V1}.trainer_base", "bridge/trainer/worker_ports.py", attributes="RayWorkerGroup"),
    Part("verl.single_controller.ray.base", "bridge/trainer/worker_ports.py", written="master_port_range"),
)
