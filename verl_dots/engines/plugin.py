"""What verl imports in every Ray process: makes the platform `cpu` and the rollout engine `hf` known to it.

Named in VERL_USE_EXTERNAL_MODULES, which fails loudly, rather than in a `verl.plugins` entry point, whose
errors verl only logs at debug level. Registering changes nothing by itself: the CPU platform is used where
VERL_PLATFORM=cpu says so, and the engine where `rollout.name=hf` does.
"""

from collections.abc import Callable

from verl_dots.engines import cpu_platform

cpu_platform.register()


def _serving_many(name: str, load: Callable[[], type]) -> Callable[[], type]:
    """verl's loader of an engine, whose servers then take many requests in a call."""

    def load_serving_many() -> type:
        from verl_dots.engines.many_requests import serving_many
        from verl_dots.engines.weight_sockets import OwnSockets

        return serving_many(load(), *([OwnSockets] if name == "vllm" else []))

    return load_serving_many


def _register_rollout() -> None:
    """verl 0.9.1 has a public registry for replicas; that of the adapters in the workers is a private dict."""
    from verl.workers.rollout import base
    from verl.workers.rollout.replica import RolloutReplicaRegistry

    def load():
        from verl_dots.engines.replica import EngineReplica

        return EngineReplica

    RolloutReplicaRegistry.register("hf", load)
    for name in ("vllm", "sglang"):
        RolloutReplicaRegistry.register(name, _serving_many(name, RolloutReplicaRegistry._registry[name]))
    base._ROLLOUT_REGISTRY[("hf", "async")] = "verl_dots.engines.replica.EngineAdapter"
    base._ROLLOUT_REGISTRY[("vllm", "async")] = "verl_dots.engines.vllm_adapter.VLLMAdapter"


_register_rollout()
