"""What is decided before any server starts. Generation itself: tests/difficulty/test_collect.py."""

import os

import pytest
import ray

from data_prep.byte_tokenizer import build_tokenizer
from tests.refusals import changed, refused
from verl_dots.generation.generation import Sampling, sampling_params
from verl_dots.generation.standalone import chat_tokenizer, count_replicas, load_tokenizer, ray_of, standalone_config

ROLLOUT = "actor_rollout_ref.rollout"


@pytest.fixture
def vllm(on_gpu):
    return changed(on_gpu, [f"{ROLLOUT}.name=vllm"])


def test_a_server_that_stands_alone_reads_the_weights(on_cpu):
    assert on_cpu.actor_rollout_ref.rollout.load_format == "dummy"
    rollout = standalone_config(on_cpu).actor_rollout_ref.rollout
    assert (rollout.load_format, rollout.nnodes) == ("auto", 1)
    explicit = standalone_config(changed(on_cpu, [f"{ROLLOUT}.load_format=safetensors"]))
    assert explicit.actor_rollout_ref.rollout.load_format == "safetensors"


def test_on_a_cpu_vllm_neither_sleeps_nor_compiles(on_cpu, vllm):
    rollout = standalone_config(changed(on_cpu, [f"{ROLLOUT}.name=vllm"])).actor_rollout_ref.rollout
    assert (rollout.enable_sleep_mode, rollout.enforce_eager) == (False, True)
    on_gpu = standalone_config(vllm).actor_rollout_ref.rollout
    assert on_gpu.enforce_eager == vllm.actor_rollout_ref.rollout.enforce_eager
    assert on_gpu.get("enable_sleep_mode", True)


def test_an_engine_must_be_named(on_gpu):
    with refused(f"{ROLLOUT}.name", "missing", "vllm, sglang or hf"):
        standalone_config(on_gpu)


def sized(config, nodes, gpus, tensor, pipeline=1):
    parallel = [f"{ROLLOUT}.tensor_model_parallel_size={tensor}", f"{ROLLOUT}.pipeline_model_parallel_size={pipeline}"]
    return standalone_config(changed(config, [f"trainer.nnodes={nodes}", f"trainer.n_gpus_per_node={gpus}", *parallel]))


@pytest.mark.parametrize(
    "nodes, gpus, tensor, pipeline, replicas", [(1, 8, 2, 1, 4), (2, 8, 8, 1, 2), (2, 4, 4, 2, 1), (1, 3, 2, 1, 1)]
)
def test_as_many_replicas_as_fit(vllm, nodes, gpus, tensor, pipeline, replicas):
    assert count_replicas(sized(vllm, nodes, gpus, tensor, pipeline)) == replicas


def test_a_replica_larger_than_the_machine_is_refused(vllm):
    with refused(f"{ROLLOUT}.tensor_model_parallel_size", "size", "8 devices", "is 4"):
        count_replicas(sized(vllm, nodes=1, gpus=4, tensor=8))


def test_each_engine_is_told_which_response_it_draws_in_its_own_way(on_cpu, vllm):
    sampling = Sampling(temperature=0.6, top_p=0.95)
    common = {"temperature": 0.6, "top_p": 0.95, "top_k": -1, "repetition_penalty": 1.0, "logprobs": False}
    hf = on_cpu.actor_rollout_ref.rollout
    assert sampling_params(hf, sampling, [1, 2], 3) == {**common, "rollout_index": 3}
    # vllm shares one stream of random numbers among all requests, unless each must be repeatable.
    assert sampling_params(vllm.actor_rollout_ref.rollout, sampling, [1, 2], 3) == common
    exact = changed(vllm, [f"{ROLLOUT}.full_determinism=true"]).actor_rollout_ref.rollout
    calls = [([1, 2], 3), ([1, 2], 3), ([1, 2], 4), ([1, 3], 3)]
    first, again, *others = (sampling_params(exact, sampling, *call)["seed"] for call in calls)
    assert first == again
    assert len({first, *others}) == 3
    assert all(0 <= seed < 2**31 for seed in (first, *others))


def test_sampling_of_the_config(on_cpu):
    rollout = changed(on_cpu, [f"{ROLLOUT}.temperature=0.6"]).actor_rollout_ref.rollout
    assert Sampling.of(rollout) == Sampling(0.6, 1.0, -1)
    assert Sampling.of(rollout.val_kwargs) == Sampling(0.0, 1.0, -1)


def test_a_prompt_is_tokenized_by_its_chat_template(on_cpu, tmp_path):
    build_tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    model, chat = on_cpu.actor_rollout_ref.model, [{"role": "user", "content": "1+1?"}]
    model.path = str(tmp_path)
    tokenizer = load_tokenizer(on_cpu)
    rendered = tokenizer.decode(chat_tokenizer(tokenizer, on_cpu)(chat))
    assert rendered == "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n"
    model.custom_chat_template = "{% for message in messages %}Q: {{ message.content }} A:{% endfor %}"
    tokenizer = load_tokenizer(on_cpu)
    assert tokenizer.decode(chat_tokenizer(tokenizer, on_cpu)(chat)) == "Q: 1+1? A:"
    tokenizer.chat_template = None
    with refused("actor_rollout_ref.model.custom_chat_template", "missing"):
        chat_tokenizer(tokenizer, on_cpu)


@pytest.mark.parametrize("option", ["tokenize=False", "continue_final_message=True", "max_length=many"])
def test_options_that_no_chat_can_be_tokenized_with(on_cpu, option):
    key = "data.apply_chat_template_kwargs"
    with refused(key, "type", option.partition("=")[0]):
        chat_tokenizer(build_tokenizer(), changed(on_cpu, [f"+{key}.truncation=True", f"+{key}.{option}"]))


def test_workers_of_a_ray_that_was_started_elsewhere_work_in_the_folder_of_the_command(on_cpu, ray_elsewhere):
    sizes = [f"ray_kwargs.ray_init.{name}=null" for name in ("num_cpus", "num_gpus", "object_store_memory")]
    with ray_of(changed(on_cpu, sizes), {}):
        assert ray.get(ray.remote(lambda: os.getcwd()).remote(), timeout=120) == str(ray_elsewhere[1])
