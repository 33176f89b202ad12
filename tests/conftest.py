"""Shared by all tests.

The process that deals tests to others imports this too, and none of torch and transformers, which take seconds.
"""

import gc
import os
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import huggingface_hub
import omegaconf.base
import pytest
from hydra._internal.config_repository import ConfigRepository

from tests.config_files import read_once
from verl_dots.guard import adopt_orphans
from verl_dots.processes.environment import prepare_environment

if TYPE_CHECKING:
    from transformers import Qwen2ForCausalLM

    from tests.launches import Inputs

# Thousands of configs hold the same interpolations. To parse them each time is half of what a check of a config takes.
omegaconf.base.parse = cache(omegaconf.base.parse)
ConfigRepository.load_config = read_once(ConfigRepository.load_config)

MOST_SECONDS = 7200  # of a test with training runs and of the fixtures that it shares with others


def pytest_collection_modifyitems(items):
    """Training runs first: they take minutes, and at the end one process would wait for the other.

    They may take any time where other runs have the cores; `launches.attended` ends the silent ones.
    """
    items.sort(key=lambda item: "e2e" not in item.keywords)
    for item in items:
        if "e2e" in item.keywords and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(MOST_SECONDS))


def pytest_collection_finish():
    """Fewer collections of garbage: configs are cycles, and a full one looks at all of torch, transformers and verl."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def one_thread():
    """A fixed thread count: what is compared bit for bit must not depend on the machine's cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_environment():
    """`datasets` leaves a copy in the place of `os.environ`; who had that before sees no variable of a later test."""
    before = os.environ
    yield
    os.environ = before  # noqa: B003  the object, not its variables


@pytest.fixture
def random_qwen2() -> "Qwen2ForCausalLM":
    """A random Qwen2 of 64 tokens, 2 layers, 4 heads over 2 key-value heads; float32, eval mode. A new one a test."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=False, initializer_range=0.2,
        bos_token_id=None, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    return Qwen2ForCausalLM(config).eval()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory) -> "Inputs":
    """For end-to-end runs: 64 training and 16 validation questions, and the testbed's tiny model."""
    from tests.launches import make_inputs

    return make_inputs(tmp_path_factory.mktemp("inputs"), questions=64)


@pytest.fixture
def orphans_left_again():
    """After a test that watches the processes of a run: who loses a parent is the system's again, which buries it."""
    yield
    adopt_orphans(False)


@pytest.fixture
def ray_elsewhere(tmp_path, monkeypatch):
    """Folders of a Ray that runs already, whose address RAY_ADDRESS is, and of this process: two different ones."""
    import ray
    from ray.cluster_utils import Cluster

    folders = tmp_path / "ray", tmp_path / "command"
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(folders[0])
    options = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        monkeypatch.chdir(folders[1])
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield folders
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture
def own_environment(monkeypatch):
    """The environment without variables for verl, restored after commands that set them."""
    for name in ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VERL_ENGINE_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def cpu_environment(own_environment):
    """The environment as `verl_dots.main` sets it before it composes a config; restored afterwards."""
    prepare_environment(cpu=True)
    if "verl" in sys.modules:  # imported without the environment, by a module of other tests: it lacks the plugin
        import_module("verl_dots.engines.plugin")


@pytest.fixture
def cached_model(tmp_path, monkeypatch):
    """A cache of the hub's files that holds one model, `owner/model`, and no way to the hub."""
    kept = tmp_path / "hub" / "models--owner--model"
    for folder in ("snapshots/1", "refs"):
        (kept / folder).mkdir(parents=True)
    (kept / "refs" / "main").write_text("1")
    (kept / "snapshots" / "1" / "config.json").write_text("{}")
    (kept / "snapshots" / "1" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
