"""Names of verl and TransferQueue that `bridge/agents` relies on."""

from verl_dots.bridge.contract.part import V1, Part

PARTS = (
    Part(
        f"{V1}.agent_loop_tq.AgentLoopWorkerTQ",
        "bridge/agents/agent_loop.py",
        overridden="_run_prompt(prompt sampling_params trajectory trace) "
        "_run_agent_loop(sampling_params trajectory agent_name trace) _compute_score(outputs kwargs)",
        called="_agent_loop_postprocess(output validate)",
        attributes="config model_config rollout_config llm_client tokenizer processor hf_model_type dataset_cls tools",
    ),
    Part(
        f"{V1}.agent_loop_tq.AgentLoopManagerTQ",
        "bridge/agents/agent_loop.py",
        overridden="generate_sequences(prompts)",
        attributes="agent_loop_workers_class",
    ),
    Part(f"{V1}.agent_loop_tq", "bridge/agents/agent_loop.py", attributes="tq list_of_dict_to_tensordict"),
    Part(
        "verl.experimental.agent_loop.agent_loop",
        "bridge/agents/agent_loop.py",
        attributes="DictConfigWrap ToolListWrap",
    ),
    Part("verl.experimental.agent_loop.agent_loop", "bridge/agents/single_turn.py", attributes="_agent_loop_registry"),
    Part(
        "verl.experimental.agent_loop.single_turn_agent_loop.SingleTurnAgentLoop",
        "bridge/agents/single_turn.py",
        overridden="ct_build_initial_tokens(messages tools images videos audios mm_inputs_out) "
        "ct_merge_assistant_token("
        "runtime_token_ids assistant_token_ids response_mask response_logprobs assistant_logprobs)",
        called="_cap_text_prompt_length(prompt_ids) run(sampling_params)",
        attributes="continuous_token_builder processor",
    ),
    Part(
        "verl.workers.rollout.llm_server.LLMServerClient",
        "bridge/agents/requests.py",
        overridden="_acquire_server(request_id) _release_server(server_id request_id)",
        attributes="config _load_balancer",
    ),
    Part(
        "verl.workers.rollout.router.GlobalRequestLoadBalancer", "bridge/agents/requests.py", called="get_all_servers()"
    ),
    Part(
        "verl.experimental.agent_loop.AgentLoopOutput", "bridge/agents/agent_loop.py", attributes="metrics extra_fields"
    ),
    Part("verl.experimental.agent_loop.AgentLoopOutput", "bridge/agents/agent_loop.py", attributes="reward_score"),
    Part(
        "transfer_queue",
        "bridge/agents/failures.py",
        called="kv_list(partition_id) kv_clear(keys partition_id) async_kv_put(key partition_id tag)",
    ),
    Part(
        "transfer_queue",
        "bridge/agents/agent_loop.py",
        overridden="async_kv_put(key partition_id fields tag data_parser) "
        "async_kv_batch_put(keys partition_id fields tags data_parser)",
    ),
)
