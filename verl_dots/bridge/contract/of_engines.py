"""Names of verl that the rooms outside the bridge rely on."""

from verl_dots.bridge.contract.part import Part

PARTS = (
    Part("verl.workers.rollout.replica.RolloutReplicaRegistry", "engines/plugin.py", attributes="_registry"),
    Part(
        "verl.trainer.ppo.core_algos",
        "methods/replay/losses.py",
        called="register_adv_est(name_or_enum) register_policy_loss(name)",
    ),
    Part(
        "verl.trainer.ppo.core_algos", "launch/verl_names.py", attributes="ADV_ESTIMATOR_REGISTRY POLICY_LOSS_REGISTRY"
    ),
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
