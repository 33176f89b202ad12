"""The sockets by which a run's workers hand their weights to its vLLM engines: names that no other run has.

verl names them by the Ray job, whose numbers begin anew in each cluster. Of two runs on one node the second would take
the first one's socket away, and engines would get the weights of another run, or wait for ever.
"""

import hashlib
import os
from typing import Any

import ray

JOB = "VERL_RAY_JOB_ID"  # which verl's server sets for the engine's processes


def own_job() -> str:
    """The Ray job with its cluster: the same in all processes of a run, on each of its nodes, and in no other run."""
    context = ray.get_runtime_context()
    cluster = hashlib.sha256(context.gcs_address.encode()).hexdigest()[:12]
    return f"{context.get_job_id()}-{cluster}"


def own_socket(name: str) -> str:
    """verl's name of a socket, with `own_job` in place of the job.

    Raises:
        RuntimeError: the job is not in it: this is another verl than the one that is pinned.
    """
    job = ray.get_runtime_context().get_job_id()
    if job not in name:
        raise RuntimeError(f"verl names the socket of its weights {name!r}, without the Ray job {job!r}; see setup.py")
    return name.replace(job, own_job(), 1)


class OwnSockets:
    """For verl's vLLM server: its engine's processes listen where `own_socket` says."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        os.environ[JOB] = own_job()
