"""Names of verl and TransferQueue that `bridge/queue` relies on."""

from verl_dots.bridge.contract.part import BUFFER, V1, Part

PARTS = (
    Part(f"{V1}.trainer_base", "bridge/queue/lean.py", attributes="get_metric_data_with_optional_routed_experts"),
    Part(BUFFER, "bridge/queue/evictions.py", overridden="_clear_groups(partition_id uids)"),
    Part("transfer_queue", "bridge/queue/arrivals.py", called="kv_list(partition_id) kv_clear(keys partition_id)"),
    Part(
        BUFFER,
        "bridge/queue/looks.py",
        overridden="_wait_for_next_poll(partition_id last_debug_time) _sync_metadata_from_transfer_queue()",
        attributes="partitions pending_keys running_keys finished_keys failure_keys poll_interval",
    ),
    Part(f"{V1}.trainer_base", "bridge/queue/arrivals.py", written="is_prompt status"),
    Part(
        f"{V1}.agent_loop_tq",
        "bridge/queue/rows.py",
        written="status global_steps min_global_steps max_global_steps prompt_len response_len seq_len",
    ),
    Part("verl.utils.torch_dtypes.PrecisionType", "bridge/queue/temperatures.py", called="to_dtype(precision)"),
    Part(
        "verl.workers.engine.fsdp.transformer_impl",
        "bridge/queue/temperatures.py",
        attributes="_scale_logits_by_temperature",
    ),
    Part("verl.trainer.ppo.padding_utils", "bridge/queue/rows.py", written="prompt_len response_len seq_len"),
    Part("verl.trainer.ppo.padding_utils", "bridge/queue/row_tags.py", written="is_padding"),
    Part(
        "transfer_queue",
        "bridge/queue/rows.py",
        called="kv_batch_get(keys partition_id select_fields) kv_batch_put(keys partition_id fields tags) "
        "kv_clear(keys partition_id)",
    ),
    Part("transfer_queue.TransferQueueClient", "bridge/queue/rows.py", called="kv_retrieve_meta(keys partition_id)"),
    Part(
        "transfer_queue.KVBatchMeta",
        "bridge/queue/rows.py",
        called="__init__(partition_id keys tags fields extra_info) reorder(indexes)",
        attributes="partition_id keys tags fields extra_info",
    ),
    Part(
        "verl.utils.seqlen_balancing",
        "bridge/queue/balance.py",
        called="calculate_workload(seqlen_list) get_seqlen_balanced_partitions(seqlen_list k_partitions equal_size)",
    ),
    Part("verl.utils.tensordict_utils", "bridge/queue/rows.py", called="list_of_dict_to_tensordict(list_of_dicts)"),
    Part(
        "verl.utils.tensordict_utils",
        "bridge/queue/questions.py",
        called="get_tensordict(tensor_dict) assign_non_tensor_data(tensor_dict key val)",
    ),
    Part(
        f"{V1}.utils",
        "bridge/queue/advantages.py",
        called="compute_advantage_for_multi_trajectories("
        "data batch_keys adv_estimator num_repeat norm_adv_by_std_in_grpo config)",
    ),
    Part(
        "verl.trainer.ppo.core_algos", "bridge/queue/advantages.py", called="agg_loss(loss_mat loss_mask loss_agg_mode)"
    ),
)
