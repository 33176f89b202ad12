"""Names in verl's config that it looks up late, in a worker, or takes for none without a word."""

from importlib.util import find_spec

from omegaconf import DictConfig, OmegaConf

from verl_dots.launch.verl_names import require_name
from verl_dots.methods.refusals import excluded
from verl_dots.settings import require

ROLLOUT = "actor_rollout_ref.rollout"
# Of vLLM and SGLang, as they document them; an engine refuses those of the other itself.
LOAD_FORMATS = (
    *("auto", "bitsandbytes", "dummy", "fastsafetensors", "flash_rl", "gguf", "hf", "instanttensor", "layered"),
    *("mistral", "npcache", "private", "pt", "remote", "remote_instance", "runai_streamer", "runai_streamer_sharded"),
    *("safetensors", "sharded_state", "tensorizer"),
)
OF_ENGINES = {"hf": ("auto", "dummy", "safetensors"), "trtllm": ("auto", "dummy")}
# verl.utils.profiler.profile.DistProfiler
PROFILERS = ("nsys", "npu", "torch", "torch_memory", "precision_debugger")
PROFILED = ("global_profiler", *(f"actor_rollout_ref.{part}.profiler" for part in ("actor", "ref", "rollout")))
# verl.utils.rollout_trace.RolloutTraceConfig.init; each is a package of its own.
TRACERS = ("weave", "mlflow", "trackio")
# transfer_queue.storage.managers.base.StorageManagerFactory
STORAGES = ("MooncakeStore", "RayStore", "SimpleStorage", "Yuanrong")


def check_choices(config: DictConfig) -> None:
    """Refuse names of parts that verl would not find, and those of parts that the run would not use.

    Raises:
        ConfigError: the key, the name, and what there is.
    """
    _check_weights_way(config)
    _check_storage(config)
    rollout = config.actor_rollout_ref.rollout
    require_name(f"{ROLLOUT}.load_format", rollout.load_format, OF_ENGINES.get(rollout.name, LOAD_FORMATS))
    for group in (*PROFILED, "critic.profiler"):
        if (tool := OmegaConf.select(config, f"{group}.tool")) is not None:
            require_name(f"{group}.tool", tool, PROFILERS)
    if (tracer := OmegaConf.select(config, f"{ROLLOUT}.trace.backend")) is not None:
        key = f"{ROLLOUT}.trace.backend"
        require_name(key, tracer, TRACERS)
        rule = f"the package {tracer} is not installed; `pip install {tracer}`, or set it to null"
        require(key, tracer, find_spec(tracer) is not None, rule, "machine")
    _check_tokens_together(rollout)


def _check_weights_way(config: DictConfig) -> None:
    """The engines of a colocated run get their weights from the worker beside them, whatever is named here."""
    if (mode := config.trainer.v1.trainer_mode) == "separate_async":
        return  # refused as a whole
    key, given = f"{ROLLOUT}.checkpoint_engine.backend", config.actor_rollout_ref.rollout.checkpoint_engine.backend
    if given != "naive":
        why = "it hands weights to the engines on the same devices, for which there is 'naive' alone; set it to naive"
        raise excluded(key, given, f"trainer.v1.trainer_mode={mode}", why)


def _check_storage(config: DictConfig) -> None:
    key = "transfer_queue.backend.storage_backend"
    given = OmegaConf.select(config, key)
    require_name(key, given, STORAGES)
    there = given != "MooncakeStore" or find_spec("mooncake") is not None
    rule = "mooncake is not installed; `pip install mooncake-transfer-engine`, or set it to SimpleStorage"
    require(key, given, there, rule, "machine")


def _check_tokens_together(rollout: DictConfig) -> None:
    """What vLLM refuses in its own process: a step of its computes a token of each sequence at least."""
    given, most = rollout.max_num_batched_tokens, rollout.max_num_seqs
    rule = f"vLLM computes a token of each of max_num_seqs={most} sequences at once; set it to {most} or more"
    enough = rollout.name != "vllm" or given is None or given >= most
    require(f"{ROLLOUT}.max_num_batched_tokens", given, enough, rule, "size")
