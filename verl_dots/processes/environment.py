"""The environment that verl and its Ray processes need, set before verl is imported."""

import logging
import os
from collections.abc import Mapping

PLUGIN = "verl_dots.engines.plugin"
# What `ray.init` is given for a Ray of its own: without an address it joins one that anybody has started here.
LOCAL = "local"
# Forwarded to the Ray processes of every node; set before verl is imported. A value that the user has set stays.
COMMON_ENVIRONMENT = {
    "TQ_LOGGING_LEVEL": "ERROR",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # datasets would tell a server of each file that it reads, local ones too
    # Ray ends a start whose own processes or workers take longer than half a minute or one; where other runs have the
    # cores they do.
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_gcs_server_request_timeout_seconds": "300",
    "RAY_py_gcs_connect_timeout_s": "300",
    # What Ray keeps of calls that are over, for `ray list tasks`: of its 100,000 a run's Ray grows by 280 MiB.
    "RAY_task_events_max_num_task_in_gcs": "10000",
    # Workers that Ray starts in advance have no runtime_env, so a run, whose workers all have one, uses none of them.
    "RAY_prestart_worker_first_driver": "false",
}
CPU_ENVIRONMENT = {
    # Pick the platform that `plugin` registers; verl knows its FSDP engines under "cuda" and "npu" only.
    "VERL_PLATFORM": "cpu",
    "VERL_ENGINE_DEVICE": "cuda",
    # Ray must not hide devices from actors that asked for none: there are none to hide, and a warning for each.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # One thread a process: sums keep their order, and the workers share few cores. On 2 cores a step of the tiny
    # model takes 5.4 s with one thread, 7.2 s with two, and 25 s with two that wait actively.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "GLOO_SOCKET_IFNAME": "lo",
}


def prepare_environment(cpu: bool, nnodes: int = 1) -> dict[str, str]:
    """Set this process's environment for verl and return what every Ray process needs of it.

    Idempotent; must run before verl is imported, because verl picks its platform on import.
    """
    wanted = dict(COMMON_ENVIRONMENT, **(CPU_ENVIRONMENT if cpu else {}))
    if nnodes > 1:
        wanted.pop("GLOO_SOCKET_IFNAME", None)  # the loopback interface reaches one node only
    modules = [name for name in os.environ.get("VERL_USE_EXTERNAL_MODULES", "").split(",") if name]
    if PLUGIN not in modules:
        modules.append(PLUGIN)
    os.environ["VERL_USE_EXTERNAL_MODULES"] = ",".join(modules)
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
    # It tells of its choice at every import; a level would not last, as it sets its own.
    logging.getLogger("verl.plugin.platform.platform_manager").addFilter(_is_warning)
    return {name: os.environ[name] for name in ("VERL_USE_EXTERNAL_MODULES", *wanted)}


def ray_address(config_address: str | None, environment: Mapping[str, str]) -> str | None:
    """What `ray.init` is given; None where it takes that of RAY_ADDRESS."""
    return config_address or (None if environment.get("RAY_ADDRESS") else LOCAL)


def joins_cluster(config_address: str | None, environment: Mapping[str, str]) -> bool:
    """Whether Ray runs already, so that its folders and devices are those of another process."""
    return (config_address or environment.get("RAY_ADDRESS") or LOCAL) != LOCAL


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
