"""The names of verl and TransferQueue that the package relies on, beyond documented settings: one table.

`installed.differences` compares it with what is installed: another version is told apart by name, not by a run.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Names of one module or class.

    Attributes:
        owner, used_in: dotted path; file of verl_dots.
        overridden: methods with all of their parameters, "name(parameter parameter) name()".
        called: functions or methods with the parameters that they are given; others have defaults.
        attributes: of an object of the class, or names of the module.
        written: keys of the dicts that the module writes.
    """

    owner: str
    used_in: str
    overridden: str = ""
    called: str = ""
    attributes: str = ""
    written: str = ""

    @property
    def names(self) -> list[str]:
        """Of all functions, methods and attributes."""
        return [name for name, _ in signatures(f"{self.overridden} {self.called}")] + self.attributes.split()


def signatures(text: str) -> list[tuple[str, str]]:
    """(name, parameters) of each "name(parameters)" in a text."""
    return re.findall(r"(\w+)\((.*?)\)", text)


V1, WORKERS = "verl.trainer.ppo.v1", "verl.workers.engine_workers"
TRAINER, BUFFER = f"{V1}.PPOTrainerSync", f"{V1}.replay_buffer.ReplayBuffer"
CONTRACT = (
    Part(
        TRAINER,
        "bridge/trainer.py",
        overridden="_next_train_batch(num_prompts) _submit_batch_to_rollout(batch) _validate() _save_checkpoint() "
        "_load_checkpoint() _log_rollout_data(batch timing_raw rollout_data_dir) "
        "_compute_metrics(batch metrics timing_raw global_steps epoch) _shutdown_dump_executor()",
        called="_fetch_one_gen_batch() _compute_reward_colocate(batch metrics) _compute_old_log_prob(batch metrics) "
        "_compute_ref_log_prob(batch metrics) _compute_values(batch metrics) _compute_advantage(batch metrics) "
        "_update_critic(batch metrics) _update_actor(batch metrics) on_sample_begin() on_sample_end() "
        "on_step_end()",
        attributes="config global_steps timing_raw replay_buffer actor_rollout_wg reward_loop_manager processor "
        "checkpoint_manager agent_loop_manager curr_step_profile total_training_steps",
    ),
    Part(
        TRAINER,
        "bridge/mini_batches.py",
        overridden="_get_required_batch_multiple(dp_size)",
        called="_balance_batch(batch metrics)",
        attributes="config use_critic use_reference_policy ref_in_actor actor_rollout_wg critic_wg ref_policy_wg",
    ),
    Part(f"{V1}.trainer_base", "bridge/lean.py", attributes="get_metric_data_with_optional_routed_experts"),
    Part(TRAINER, "bridge/announced.py", attributes="config checkpoint_callback global_steps"),
    Part(TRAINER, "bridge/watch.py", attributes="actor_rollout_wg critic_wg use_critic llm_server_manager"),
    Part("verl.single_controller.ray.RayWorkerGroup", "bridge/watch.py", attributes="workers"),
    Part("verl.workers.rollout.llm_server.LLMServerManager", "bridge/watch.py", called="get_replicas()"),
    Part("verl.workers.rollout.replica.RolloutReplica", "bridge/watch.py", attributes="servers"),
    Part(f"{V1}.agent_loop_tq.AgentLoopManagerTQ", "bridge/watch.py", attributes="agent_loop_workers"),
    Part("transfer_queue.interface", "bridge/watch.py", attributes="_TQ_STORAGE"),
    Part(
        "verl.trainer.ppo.checkpoint_callback.CheckpointCallback",
        "bridge/announced.py",
        called="on_save(trainer global_step checkpoint_dir async_save)",
    ),
    Part(
        TRAINER,
        "bridge/patient_trainer.py",
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
    Part(
        TRAINER,
        "training/trainer.py",
        overridden="_step_once(metrics timing_raw sample_batch_size) prepare_step() on_init_end()",
        attributes="use_reference_policy train_dataset",
    ),
    Part(TRAINER, "training/pipeline.py", attributes="tokenizer processor resource_pool_manager total_training_steps"),
    Part(f"{V1}.PPOTrainerColocateAsync", "training/async_trainer.py", overridden="on_train_begin()"),
    Part(BUFFER, "bridge/evictions.py", overridden="_clear_groups(partition_id uids)"),
    Part(f"{V1}.trainer_base", "training/modes.py", attributes="register_trainer TRAINER_REGISTRY"),
    Part("transfer_queue", "bridge/arrivals.py", called="kv_list(partition_id) kv_clear(keys partition_id)"),
    Part(BUFFER, "bridge/trainer.py", called="sample(global_steps partition_id batch_size)"),
    Part(
        BUFFER,
        "bridge/looks.py",
        overridden="_wait_for_next_poll(partition_id last_debug_time) _sync_metadata_from_transfer_queue()",
        attributes="partitions pending_keys running_keys finished_keys failure_keys poll_interval",
    ),
    Part(
        "verl.experimental.reward_loop.RewardLoopManager", "bridge/patient_trainer.py", attributes="reward_loop_workers"
    ),
    Part(
        "verl.checkpoint_engine.CheckpointEngineManager",
        "bridge/trainer.py",
        called="sleep_replicas() update_weights(global_steps)",
    ),
    Part(
        "verl.experimental.reward_loop.RewardLoopManager", "bridge/trainer.py", attributes="reward_loop_worker_handles"
    ),
    Part(
        "verl.single_controller.base.worker.Worker", "bridge/mini_batches.py", called="_query_dispatch_info(mesh_name)"
    ),
    Part(f"{WORKERS}.ActorRolloutRefWorker", "bridge/trainer.py", called="set_loss_fn(loss_fn)"),
    Part(f"{WORKERS}.ActorRolloutRefWorker", "bridge/workers.py", attributes="actor_worker_cls ref_worker_cls"),
    Part(f"{WORKERS}.TrainingWorker", "bridge/workers.py", overridden="__init__(config)", attributes="engine_config"),
    Part("verl.single_controller.ray.ResourcePoolManager", "training/pipeline.py", attributes="resource_pool_dict"),
    Part(f"{V1}.trainer_base", "bridge/arrivals.py", written="is_prompt status"),
    Part(
        f"{V1}.agent_loop_tq.AgentLoopWorkerTQ",
        "bridge/agent_loop.py",
        overridden="_run_prompt(prompt sampling_params trajectory trace) "
        "_run_agent_loop(sampling_params trajectory agent_name trace) _compute_score(outputs kwargs)",
        called="_agent_loop_postprocess(output validate)",
        attributes="config model_config rollout_config llm_client tokenizer processor hf_model_type dataset_cls tools",
    ),
    Part(
        f"{V1}.agent_loop_tq.AgentLoopManagerTQ",
        "bridge/agent_loop.py",
        overridden="generate_sequences(prompts)",
        attributes="agent_loop_workers_class",
    ),
    Part(f"{V1}.agent_loop_tq", "bridge/agent_loop.py", attributes="tq list_of_dict_to_tensordict"),
    Part("verl.experimental.agent_loop.agent_loop", "bridge/agent_loop.py", attributes="DictConfigWrap ToolListWrap"),
    Part("verl.experimental.agent_loop.agent_loop", "bridge/single_turn.py", attributes="_agent_loop_registry"),
    Part(
        "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop",
        "bridge/single_turn.py",
        overridden="ct_build_initial_tokens(messages tools images videos audios mm_inputs_out) "
        "ct_merge_assistant_token("
        "runtime_token_ids assistant_token_ids response_mask response_logprobs assistant_logprobs)",
        called="_cap_text_prompt_length(prompt_ids) run(sampling_params)",
        attributes="continuous_token_builder processor",
    ),
    Part(
        "verl.workers.rollout.llm_server.LLMServerClient",
        "bridge/requests.py",
        overridden="_acquire_server(request_id) _release_server(server_id request_id)",
        attributes="config _load_balancer",
    ),
    Part("verl.workers.rollout.router.GlobalRequestLoadBalancer", "bridge/requests.py", called="get_all_servers()"),
    Part("verl.workers.rollout.replica.RolloutReplicaRegistry", "engines/plugin.py", attributes="_registry"),
    Part("verl.experimental.agent_loop.AgentLoopOutput", "bridge/agent_loop.py", attributes="metrics extra_fields"),
    Part(
        f"{V1}.agent_loop_tq",
        "bridge/rows.py",
        written="status global_steps min_global_steps max_global_steps prompt_len response_len seq_len",
    ),
    Part("verl.experimental.agent_loop.AgentLoopOutput", "bridge/agent_loop.py", attributes="reward_score"),
    Part("verl.trainer.ppo.padding_utils", "bridge/rows.py", written="prompt_len response_len seq_len"),
    Part("verl.trainer.ppo.padding_utils", "bridge/row_tags.py", written="is_padding"),
    Part(
        "transfer_queue",
        "bridge/rows.py",
        called="kv_batch_get(keys partition_id select_fields) kv_batch_put(keys partition_id fields tags) "
        "kv_clear(keys partition_id)",
    ),
    Part(
        "transfer_queue",
        "bridge/failures.py",
        called="kv_list(partition_id) kv_clear(keys partition_id) async_kv_put(key partition_id tag)",
    ),
    Part(
        "transfer_queue",
        "bridge/agent_loop.py",
        overridden="async_kv_put(key partition_id fields tag data_parser) "
        "async_kv_batch_put(keys partition_id fields tags data_parser)",
    ),
    Part("transfer_queue.TransferQueueClient", "bridge/rows.py", called="kv_retrieve_meta(keys partition_id)"),
    Part(
        "transfer_queue.KVBatchMeta",
        "bridge/rows.py",
        called="__init__(partition_id keys tags fields extra_info) reorder(indexes)",
        attributes="partition_id keys tags fields extra_info",
    ),
    Part(
        "verl.utils.seqlen_balancing",
        "bridge/balance.py",
        called="calculate_workload(seqlen_list) get_seqlen_balanced_partitions(seqlen_list k_partitions equal_size)",
    ),
    Part("verl.utils.tensordict_utils", "bridge/rows.py", called="list_of_dict_to_tensordict(list_of_dicts)"),
    Part(
        "verl.utils.tensordict_utils",
        "bridge/questions.py",
        called="get_tensordict(tensor_dict) assign_non_tensor_data(tensor_dict key val)",
    ),
    Part(
        f"{V1}.utils",
        "bridge/advantages.py",
        called="compute_advantage_for_multi_trajectories("
        "data batch_keys adv_estimator num_repeat norm_adv_by_std_in_grpo config)",
    ),
    Part("verl.trainer.ppo.core_algos", "bridge/advantages.py", called="agg_loss(loss_mat loss_mask loss_agg_mode)"),
    Part(
        "verl.trainer.ppo.core_algos",
        "methods/replay/losses.py",
        called="register_adv_est(name_or_enum) register_policy_loss(name)",
    ),
    Part(
        "verl.trainer.ppo.core_algos", "launch/verl_names.py", attributes="ADV_ESTIMATOR_REGISTRY POLICY_LOSS_REGISTRY"
    ),
    Part(f"{V1}.trainer_base", "bridge/worker_ports.py", attributes="RayWorkerGroup"),
    Part("verl.single_controller.ray.base", "bridge/worker_ports.py", written="master_port_range"),
    Part("verl.workers.rollout.base", "engines/plugin.py", attributes="_ROLLOUT_REGISTRY"),
    Part(
        "verl.utils.distributed",
        "engines/cpu_platform.py",
        overridden="initialize_global_process_group_ray(timeout_second backend)",
    ),
    Part(
        "verl.workers.engine.fsdp.transformer_impl.FSDPEngineWithLMHead",
        "engines/training.py",
        overridden="initialize() prepare_model_inputs(micro_batch) "
        "prepare_model_outputs(output output_args micro_batch logits_processor_func)",
        attributes="module",
    ),
    Part(
        "verl.workers.engine.EngineRegistry", "engines/training.py", called="register(model_type backend device vendor)"
    ),
    Part(
        "verl.utils.torch_functional",
        "engines/training.py",
        called="entropy_from_logits(logits) calculate_sum_pi_squared_from_logits(logits)",
    ),
    Part("verl.utils.model", "engines/training.py", called="extract_multi_modal_inputs(batch_data)"),
    Part("verl.utils.fsdp_utils", "engines/cpu_platform.py", overridden="CPUOffloadPolicy(pin_memory)"),
    Part(
        "verl.utils.model",
        "engines/cpu_platform.py",
        overridden="load_valuehead_model(local_path torch_dtype model_config trust_remote_code)",
    ),
)
