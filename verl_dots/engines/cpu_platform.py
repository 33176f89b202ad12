"""verl's platform interface for a machine without an accelerator.

verl picks a platform by the environment variable VERL_PLATFORM; `processes/environment.py` sets it to "cpu" for a run
with trainer.device=cpu and to nothing else otherwise, so nothing here is active next to a GPU.
"""

import os
import types
from contextlib import contextmanager, nullcontext

import psutil
import torch
from verl.plugin.platform import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

NAME = "cpu"


class _CpuDevice(types.ModuleType):
    """torch.cpu with the calls of torch.cuda that verl makes without asking: memory, seeds, synchronisation."""

    def __getattr__(self, name: str):
        return getattr(torch.cpu, name)


def _device_module() -> types.ModuleType:
    module = _CpuDevice("verl_dots.cpu_device")

    def nothing(*args, **kwargs) -> None:
        return None

    def zero(*args, **kwargs) -> int:
        return 0

    def free_and_total(*args, **kwargs) -> tuple[int, int]:
        memory = psutil.virtual_memory()
        return memory.available, memory.total

    for name in ("empty_cache", "ipc_collect", "synchronize", "set_device", "reset_peak_memory_stats"):
        setattr(module, name, nothing)
    for name in ("max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved"):
        setattr(module, name, zero)
    module.is_available = lambda: True
    module.device_count = lambda: 1
    module.get_device_name = lambda *args, **kwargs: NAME
    module.mem_get_info = free_and_total
    module.get_rng_state = lambda *args, **kwargs: torch.get_rng_state()
    module.set_rng_state = lambda state, *args, **kwargs: torch.set_rng_state(state)
    module.manual_seed = module.manual_seed_all = torch.manual_seed
    return module


class CpuPlatform(PlatformBase):
    """One "device" a process; Ray counts them as logical GPUs, since verl only knows GPU and NPU resources."""

    device_name = NAME
    vendor_name = NAME
    device_module = _device_module()

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        # Never found by detection, only by name: verl's detection must see a GPU or fall back as it does.
        return False

    def current_device(self) -> torch.device:
        return torch.device(NAME)

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None: ...

    def synchronize(self, device_index: int | None = None) -> None: ...

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None: ...

    def empty_cache(self) -> None: ...

    def get_device_capability(self, device_id: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextmanager
    def nvtx_range(self, msg: str):
        with nullcontext():
            yield

    def profiler_start(self) -> None: ...

    def profiler_stop(self) -> None: ...

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self) -> None:
        return None


def register() -> None:
    """Make the platform known by name; where it is the one in use, mend the places that expect a device.

    They must precede the import of verl's workers, which take the functions by name.
    """
    if PlatformRegistry.get(NAME) is None:
        PlatformRegistry.register(platform=NAME)(CpuPlatform)
        if os.environ.get("VERL_PLATFORM") == NAME:
            _fix_process_group_backend()
            _fix_reference_offload()
            _fix_value_model()


def _fix_process_group_backend() -> None:
    """verl asks for "cpu:gloo,<device>:<backend>", on a CPU "cpu:gloo,cpu:gloo", which torch refuses."""
    import verl.utils.distributed as distributed

    original = distributed.initialize_global_process_group_ray

    def initialize_global_process_group_ray(timeout_second=None, backend=None):
        return original(timeout_second=timeout_second, backend=backend or "cpu:gloo")

    distributed.initialize_global_process_group_ray = initialize_global_process_group_ray


def _fix_reference_offload() -> None:
    """verl offloads the reference policy to pinned memory, which torch has none of without an accelerator."""
    import verl.utils.fsdp_utils as fsdp_utils

    original = fsdp_utils.CPUOffloadPolicy
    fsdp_utils.CPUOffloadPolicy = lambda pin_memory=True: original(pin_memory=False)


def _fix_value_model() -> None:
    """verl loads a critic with flash attention whatever its config says; here the config is asked."""
    import verl.utils.model
    from transformers import AutoModelForTokenClassification

    def load_valuehead_model(local_path, torch_dtype, model_config, trust_remote_code):
        return AutoModelForTokenClassification.from_pretrained(
            local_path,
            torch_dtype=torch_dtype,
            config=model_config,
            attn_implementation=model_config._attn_implementation,
            trust_remote_code=trust_remote_code,
        )

    verl.utils.model.load_valuehead_model = load_valuehead_model
