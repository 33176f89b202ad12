"""What is decided before any server starts. Generation itself: tests/difficulty/test_collect.py."""

import pytest
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.generation.generation import Sampling, sampling_params
from verl_dots.generation.standalone import count_replicas, load_tokenizer, standalone_config, tokenize
from verl_dots.launch.compose import compose

pytestmark = pytest.mark.usefixtures("cpu_environment")


VLLM = ["actor_rollout_ref.rollout.name=vllm"]


def test_a_server_that_stands_alone_reads_the_weights():
    given = compose(["device=cpu"])
    config = standalone_config(given)
    assert given.actor_rollout_ref.rollout.load_format == "dummy"
    assert (config.actor_rollout_ref.rollout.load_format, config.actor_rollout_ref.rollout.nnodes) == ("auto", 1)
    explicit = standalone_config(compose(["device=cpu", "actor_rollout_ref.rollout.load_format=safetensors"]))
    assert explicit.actor_rollout_ref.rollout.load_format == "safetensors"


def test_on_a_cpu_vllm_neither_sleeps_nor_compiles():
    rollout = standalone_config(compose(["device=cpu", *VLLM])).actor_rollout_ref.rollout
    assert (rollout.enable_sleep_mode, rollout.enforce_eager) == (False, True)
    on_gpu = standalone_config(compose(VLLM)).actor_rollout_ref.rollout
    assert on_gpu.enforce_eager == compose(VLLM).actor_rollout_ref.rollout.enforce_eager
    assert on_gpu.get("enable_sleep_mode", True)


def test_an_engine_must_be_named():
    with refused("actor_rollout_ref.rollout.name", "missing", "vllm, sglang or hf"):
        standalone_config(compose([]))


@pytest.mark.parametrize(
    "nodes, gpus, tensor, pipeline, replicas", [(1, 8, 2, 1, 4), (2, 8, 8, 1, 2), (2, 4, 4, 2, 1), (1, 3, 2, 1, 1)]
)
def test_as_many_replicas_as_fit(nodes, gpus, tensor, pipeline, replicas):
    config = standalone_config(compose([
        *VLLM, f"trainer.nnodes={nodes}", f"trainer.n_gpus_per_node={gpus}",
        f"actor_rollout_ref.rollout.tensor_model_parallel_size={tensor}",
        f"actor_rollout_ref.rollout.pipeline_model_parallel_size={pipeline}",
    ]))  # fmt: skip
    assert count_replicas(config) == replicas


def test_a_replica_larger_than_the_machine_is_refused():
    overrides = [*VLLM, "trainer.n_gpus_per_node=4", "actor_rollout_ref.rollout.tensor_model_parallel_size=8"]
    with refused("actor_rollout_ref.rollout.tensor_model_parallel_size", "size", "8 devices", "is 4"):
        count_replicas(standalone_config(compose(overrides)))


def test_each_engine_is_told_which_response_it_draws_in_its_own_way():
    sampling = Sampling(temperature=0.6, top_p=0.95)
    common = {"temperature": 0.6, "top_p": 0.95, "top_k": -1, "repetition_penalty": 1.0, "logprobs": False}
    hf = compose(["device=cpu"]).actor_rollout_ref.rollout
    assert sampling_params(hf, sampling, [1, 2], 3) == {**common, "rollout_index": 3}
    # vllm shares one stream of random numbers among all requests, unless each must be repeatable.
    vllm = compose(VLLM).actor_rollout_ref.rollout
    assert sampling_params(vllm, sampling, [1, 2], 3) == common
    exact = compose([*VLLM, "actor_rollout_ref.rollout.full_determinism=true"]).actor_rollout_ref.rollout
    seeds = [
        sampling_params(exact, sampling, prompt, rollout)["seed"]
        for prompt, rollout in [([1, 2], 3), ([1, 2], 3), ([1, 2], 4), ([1, 3], 3)]
    ]
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_sampling_of_the_config():
    rollout = compose(["device=cpu", "actor_rollout_ref.rollout.temperature=0.6"]).actor_rollout_ref.rollout
    assert Sampling.of(rollout) == Sampling(0.6, 1.0, -1)
    assert Sampling.of(rollout.val_kwargs) == Sampling(0.0, 1.0, -1)


def test_a_prompt_is_tokenized_by_its_chat_template(inputs):
    config = compose(["device=cpu", f"actor_rollout_ref.model.path={inputs.model}"])
    tokenizer = load_tokenizer(config)
    ids = tokenize(tokenizer, [{"role": "user", "content": "1+1?"}], config)
    assert tokenizer.decode(ids) == "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n"
    plain = "{% for message in messages %}Q: {{ message.content }} A:{% endfor %}"
    OmegaConf.update(config, "actor_rollout_ref.model.custom_chat_template", plain)
    assert (
        tokenizer.decode(tokenize(load_tokenizer(config), [{"role": "user", "content": "1+1?"}], config))
        == "Q: 1+1? A:"
    )
    tokenizer.chat_template = None
    with refused("actor_rollout_ref.model.custom_chat_template", "missing"):
        tokenize(tokenizer, [{"role": "user", "content": "1+1?"}], config)
