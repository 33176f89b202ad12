"""Two runs on one node: which socket each one's weights take to its engines."""

import os
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from verl_dots.engines.many_requests import serving_many
from verl_dots.engines.weight_sockets import JOB, OwnSockets, own_job, own_socket

FIRST_JOB = "01000000"  # of every cluster
VLLM = Path(find_spec("verl").submodule_search_locations[0], "workers/rollout/vllm_rollout")


@pytest.fixture
def of_cluster(monkeypatch):
    """Makes this process one of a run on the cluster of an address."""
    monkeypatch.setenv(JOB, FIRST_JOB)

    def join(address):
        context = SimpleNamespace(get_job_id=lambda: FIRST_JOB, gcs_address=address)
        monkeypatch.setattr(ray, "get_runtime_context", lambda: context)

    return join


class Server:
    """In place of verl's."""

    def __init__(self):
        os.environ[JOB] = ray.get_runtime_context().get_job_id()


class Replica:
    server_class = ray.remote(Server)


def test_runs_of_two_clusters_have_sockets_of_their_own_and_both_ends_of_one_agree(of_cluster):
    name, found = "ipc:///tmp/rl-colocate-zmq-{job}-replica-0-rank-1.sock", []
    for address in ("10.0.0.1:6379", "10.0.0.1:6380"):
        of_cluster(address)
        serving_many(Replica, OwnSockets)().server_class.__ray_metadata__.modified_class()
        worker, engine = own_socket(name.format(job=FIRST_JOB)), name.format(job=os.environ[JOB])
        assert worker == engine and FIRST_JOB in worker
        found.append(worker)
    assert found[0] != found[1]
    of_cluster("10.0.0.1:6379")
    assert own_socket(name.format(job=FIRST_JOB)) == found[0] and own_job() in found[0]


def test_verl_still_names_both_ends_by_the_job():
    """Its own modules need vLLM to be imported."""
    for file, job in (("vllm_rollout.py", "get_job_id()"), ("utils.py", f'os.environ.get("{JOB}", "0")')):
        source = (VLLM / file).read_text()
        assert 'f"ipc:///tmp/rl-colocate-zmq-{job_id}-replica-' in source and job in source
    assert f'os.environ["{JOB}"] = ray' in (VLLM / "vllm_async_server.py").read_text()


def test_a_socket_without_the_job_is_refused(of_cluster):
    of_cluster("10.0.0.1:6379")
    with pytest.raises(RuntimeError, match="without the Ray job '01000000'"):
        own_socket("ipc:///tmp/verl.sock")


def test_workers_of_vllm_get_the_adapter(cpu_environment):
    from verl.workers.rollout import base

    assert base._ROLLOUT_REGISTRY["vllm", "async"] == "verl_dots.engines.vllm_adapter.VLLMAdapter"
