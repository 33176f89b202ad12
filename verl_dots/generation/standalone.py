"""What rollout servers without a trainer need beside verl's: their config, the tokenizer, Ray itself."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateError
from omegaconf import DictConfig, OmegaConf, open_dict

from verl_dots.data.prompt_length import options_problem
from verl_dots.processes.environment import joins_cluster, ray_address
from verl_dots.processes.ray_start import with_patience
from verl_dots.processes.warm_workers import warm_workers
from verl_dots.processes.working_folder import ENTER, FOLDER, HOOK
from verl_dots.settings import ConfigError

# Servers that stand alone: the weights are the model's own, and nothing else needs the GPU's memory.
STANDALONE = (
    "actor_rollout_ref.rollout.load_format=auto",
    "actor_rollout_ref.rollout.gpu_memory_utilization=0.85",
)
OPTIONS = "apply_chat_template_kwargs"  # of the chat template, in the group `data`


def standalone_config(config: DictConfig) -> DictConfig:
    """A resolved copy for servers that stand alone: they read the model's weights, since nobody sends any.

    Raises:
        ConfigError: no rollout engine is named.
    """
    if OmegaConf.is_missing(config.actor_rollout_ref.rollout, "name"):
        text = "actor_rollout_ref.rollout.name is not set; choose vllm, sglang or hf (or device=cpu)"
        raise ConfigError(text, key="actor_rollout_ref.rollout.name", reason="missing")
    config = config.copy()
    with open_dict(config):
        rollout = config.actor_rollout_ref.rollout
        rollout.nnodes = config.trainer.nnodes
        rollout.n_gpus_per_node = config.trainer.n_gpus_per_node
        if rollout.load_format == "dummy":
            rollout.load_format = "auto"
        if config.trainer.device == "cpu":
            # vLLM's builds for CPUs cannot sleep; eager, they start without compiling the model.
            rollout.enable_sleep_mode, rollout.enforce_eager = False, True
    OmegaConf.resolve(config)
    return config


def count_replicas(config: DictConfig) -> int:
    """How many replicas fit into trainer.nnodes x trainer.n_gpus_per_node devices.

    Raises:
        ConfigError: none does.
    """
    rollout = config.actor_rollout_ref.rollout
    names = ("tensor_model_parallel_size", "data_parallel_size", "pipeline_model_parallel_size")
    size = 1
    for name in names:
        size *= int(rollout[name])
    devices = int(rollout.nnodes) * int(rollout.n_gpus_per_node)
    if devices < size:
        raise ConfigError(
            f"one replica takes {size} devices ({' x '.join(names)}), but trainer.nnodes x trainer.n_gpus_per_node is "
            f"{devices}; lower actor_rollout_ref.rollout.tensor_model_parallel_size or raise trainer.n_gpus_per_node",
            key="actor_rollout_ref.rollout.tensor_model_parallel_size",
            reason="size",
        )
    return devices // size


def load_tokenizer(config: DictConfig) -> Any:
    """The model's tokenizer, as verl's workers read it.

    Raises:
        ConfigError: there is no such model, or it has no tokenizer.
    """
    from verl.utils import hf_tokenizer
    from verl.utils.fs import copy_to_local

    model = config.actor_rollout_ref.model
    given = model.get("tokenizer_path") or model.path
    try:
        path = copy_to_local(given)
        tokenizer = hf_tokenizer(path, trust_remote_code=bool(model.get("trust_remote_code", False)))
    except Exception as error:  # noqa: BLE001 - transformers and tokenizers raise anything for files at random
        key = f"actor_rollout_ref.model.{'tokenizer_path' if model.get('tokenizer_path') else 'path'}"
        raise ConfigError(f"{key}: {given} has no tokenizer that loads: {error}", key=key, reason="file") from error
    if model.get("custom_chat_template"):
        tokenizer.chat_template = model.custom_chat_template
    return tokenizer


def chat_tokenizer(
    tokenizer: Any, config: DictConfig, tools: Sequence[Mapping[str, Any]] = ()
) -> Callable[[Sequence[Mapping[str, str]]], list[int]]:
    """Token ids of a chat up to where the response begins, as verl's agent loop gives them to the engine.

    Args:
        tools: schemas that the chat template puts before the chat.

    Raises:
        ConfigError: the tokenizer has no chat template, or none that takes the options of the config.
    """
    from verl.utils import normalize_token_ids

    if not tokenizer.chat_template:
        raise ConfigError(
            f"the tokenizer of {config.actor_rollout_ref.model.path!r} has no chat template; "
            "set actor_rollout_ref.model.custom_chat_template",
            key="actor_rollout_ref.model.custom_chat_template",
            reason="missing",
        )
    # Once: for a million questions that costs as much as their tokens.
    options = OmegaConf.to_container(config.data.get(OPTIONS) or OmegaConf.create({}))
    given = options | ({"tools": list(tools)} if tools else {})

    def tokenize(messages: Sequence[Mapping[str, str]]) -> list[int]:
        chat = [dict(message) for message in messages]
        return normalize_token_ids(
            tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, **given)
        )

    if options and (why := options_problem(tokenize)):
        text = f"data.{OPTIONS}={options} cannot be used: {why}; name options of the chat template"
        raise ConfigError(text, key=f"data.{OPTIONS}", reason="type")
    return tokenize


def tokenized(
    tokenize: Callable[[Sequence[Mapping[str, str]]], list[int]], chats: Sequence[Sequence[Mapping[str, str]]]
) -> list[list[int]]:
    """Token ids of chats of a data set, in their order.

    Raises:
        ConfigError: the chat template refuses one of them, such as Gemma's a message of the system.
    """
    try:
        return [tokenize(chat) for chat in chats]
    except TemplateError as error:
        raise ConfigError(
            f"the tokenizer's chat template refuses a prompt: {error}", key="prompt", reason="data"
        ) from error


@contextmanager
def ray_of(config: DictConfig, environment: dict[str, str]) -> Iterator[None]:
    """Ray for as long as it is needed, started or joined as verl's run_ppo does; an existing connection is used."""
    import ray

    if ray.is_initialized():
        yield
        return
    warm = warm_workers(config)
    try:
        _start_ray(config, environment, {"py_executable": warm[0].executable} if warm else {})
        yield
    finally:
        ray.shutdown()
        for one in warm:
            one.close()


def _start_ray(config: DictConfig, environment: dict[str, str], how: dict[str, str]) -> None:
    import ray
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    rollout = config.actor_rollout_ref.rollout
    if rollout.full_determinism:
        flags = {"VERL_FULL_DETERMINISM": "1", "VLLM_BATCH_INVARIANT": "1", "PYTHONHASHSEED": str(rollout.seed)}
        os.environ.update(flags)
    given = OmegaConf.to_container(config.ray_kwargs.get("ray_init") or OmegaConf.create({}), resolve=True)
    runtime_env = get_ppo_ray_runtime_env(config) | (given.pop("runtime_env", None) or {}) | how
    if joins_cluster(given.get("address"), os.environ):
        runtime_env, environment = {HOOK: ENTER} | runtime_env, environment | {FOLDER: os.getcwd()}
    runtime_env["env_vars"] = {**environment, **(runtime_env.get("env_vars") or {})}
    given["address"] = ray_address(given.get("address"), os.environ)
    with_patience(lambda: ray.init(runtime_env=runtime_env, **given), ray.is_initialized)


def require_devices(config: DictConfig) -> None:
    """verl would end in an exception of its own, or wait for ever.

    Raises:
        ConfigError: the cluster has fewer devices than the config asks for.
    """
    import ray
    from verl.utils.device import get_resource_name

    wanted = int(config.trainer.nnodes) * int(config.trainer.n_gpus_per_node)
    name = get_resource_name()
    there = int(ray.cluster_resources().get(name, 0))
    if there < wanted:
        raise ConfigError(
            f"trainer.nnodes x trainer.n_gpus_per_node asks for {wanted} {name}, Ray has {there}; lower "
            "trainer.n_gpus_per_node, or use device=cpu (there, raise ray_kwargs.ray_init.num_gpus)",
            key="trainer.n_gpus_per_node",
            reason="machine",
        )
