"""Names that verl looks up late, or takes for none: those that there are, and those of parts that a run would use."""

import inspect
import re

import pytest

from tests.launches import plain_config
from tests.refusals import changed, refused
from verl_dots.launch.verl_choices import LOAD_FORMATS, PROFILERS, ROLLOUT, STORAGES, TRACERS, check_choices

pytestmark = pytest.mark.usefixtures("cpu_environment")
FORMAT, TOKENS, TRACER = (f"{ROLLOUT}.{name}" for name in ("load_format", "max_num_batched_tokens", "trace.backend"))


def check(*overrides):
    check_choices(changed(plain_config(), overrides))


def test_the_names_are_those_that_verl_compares_with():
    import transfer_queue  # noqa: F401  registers them
    from transfer_queue.storage.managers.base import StorageManagerFactory
    from verl.utils.profiler.profile import DistProfiler
    from verl.utils.rollout_trace import RolloutTraceConfig

    profilers = re.findall(r'self\._tool == "(\w+)":', inspect.getsource(DistProfiler.__init__))
    tracers = re.findall(r'backend == "(\w+)":', inspect.getsource(RolloutTraceConfig.init))
    assert {*profilers} == {*PROFILERS} and tuple(tracers) == TRACERS
    assert {*StorageManagerFactory._registry} == {*STORAGES}


@pytest.mark.parametrize(("engine", "known"), [("hf", "safetensors"), ("vllm", "gguf"), ("sglang", "layered")])
def test_formats_of_weights_are_those_of_the_engine(engine, known):
    check(f"{ROLLOUT}.name={engine}", f"{FORMAT}={known}")
    with refused(FORMAT, "choice", "zz", "dummy"):
        check(f"{ROLLOUT}.name={engine}", f"{FORMAT}=zz")
    assert {"auto", "dummy"} <= {*LOAD_FORMATS}


def test_vllm_computes_a_token_of_each_sequence_at_least():
    with refused(TOKENS, "size", "max_num_seqs=256"):
        check(f"{ROLLOUT}.name=vllm", f"{TOKENS}=1")
    check(f"{ROLLOUT}.name=vllm", f"{TOKENS}=256")
    check(f"{TOKENS}=1")  # the engine of a CPU computes one prompt after the other then


@pytest.mark.parametrize("part", ["global_profiler", "actor_rollout_ref.actor.profiler", f"{ROLLOUT}.profiler"])
def test_a_profiler_that_verl_would_take_for_none(part):
    with refused(f"{part}.tool", "choice", "torch_memory"):
        check(f"{part}.tool=zz")
    check(f"{part}.tool=torch")


def test_packages_that_a_name_needs(monkeypatch):
    monkeypatch.setattr("verl_dots.launch.verl_choices.find_spec", lambda name: None)
    storage = "transfer_queue.backend.storage_backend"
    for key, name in ((TRACER, "weave"), (storage, "MooncakeStore")):
        with refused(key, "machine", name, "pip install"):
            check(f"{key}={name}")
    monkeypatch.setattr("verl_dots.launch.verl_choices.find_spec", lambda name: name)
    check(f"{TRACER}=weave", f"{storage}=MooncakeStore")


def test_weights_that_a_colocated_engine_would_never_get_in_another_way():
    key = f"{ROLLOUT}.checkpoint_engine.backend"
    with refused(key, "excluded", "nccl", "naive"):
        check(f"{key}=nccl")
    check(f"{key}=nccl", "trainer.v1.trainer_mode=separate_async")  # refused as a whole
