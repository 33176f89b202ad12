"""What a run needs of the machine: variables, devices, and folders that can be written."""

import os

import pytest
import torch
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.launch import attention_checks, machine_checks
from verl_dots.launch.machine_checks import check_machine, try_writing
from verl_dots.launch.variables import check_temporary_folder, repair_devices

CUDA, HIP, ROCR = "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({CUDA: "0", ROCR: "0"}, {CUDA: "0"}),
        ({CUDA: "0,1", ROCR: "2"}, {CUDA: "0,1"}),
        ({HIP: "0", ROCR: "0"}, {HIP: "0"}),
        ({HIP: "0", CUDA: "0"}, {HIP: "0", CUDA: "0"}),
        ({ROCR: "0"}, {ROCR: "0"}),  # verl's workers take it for CUDA_VISIBLE_DEVICES
        ({CUDA: "", ROCR: "0"}, {CUDA: "", ROCR: "0"}),
        ({}, {}),
    ],
)
def test_one_variable_is_left_where_verl_refuses_two(given, left, caplog):
    environment = dict(given)
    repair_devices(environment)
    assert environment == left
    assert (ROCR in caplog.text) == (given != left)


def test_variables_that_name_different_devices_are_refused():
    with refused(HIP, "machine"):
        repair_devices({HIP: "1", CUDA: "0"})


def test_a_folder_too_deep_for_rays_sockets_is_refused_by_the_variables_name(tmp_path):
    # DIR/ray/session_2026-01-01_00-00-00_000000_PID/sockets/plasma_store, of which 107 bytes are allowed.
    room = 107 - len("/ray/session_2026-01-01_00-00-00_000000_/sockets/plasma_store") - len(str(os.getpid()))
    long = "/" + "x" * room
    for name in ("TMPDIR", "RAY_TMPDIR"):
        with refused(name, "machine", f"has {room + 1} bytes", f"at most {room} bytes"):
            check_temporary_folder({name: long})
    with refused("TMPDIR", "file"):
        check_temporary_folder({"TMPDIR": long[:-1]})
    check_temporary_folder({"TMPDIR": long, "RAY_TMPDIR": "/tmp"})
    check_temporary_folder({})
    with refused("ray_kwargs.ray_init._temp_dir", "machine"):
        check_temporary_folder({}, given=long + "x" * 4)


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    try_writing("trainer.default_local_dir", str(tmp_path / "runs" / "mine"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    try_writing("trainer.default_local_dir", str(tmp_path / "there"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    try_writing("trainer.rollout_data_dir", None)


def test_the_folder_of_rays_timeline_must_be_there_before_the_run_whose_end_writes_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    config = machine(1, device="cpu", default_local_dir=str(tmp_path / "run"))
    (tmp_path / "file").write_text("kept")
    for wrong in (tmp_path / "nope" / "x", tmp_path / "file" / "x", tmp_path):
        config.ray_kwargs = {"timeline_json_file": str(wrong)}
        with refused("ray_kwargs.timeline_json_file", "file", str(wrong)):
            check_machine(config)
    for right in (tmp_path / "x", tmp_path / "file", "x", None):
        config.ray_kwargs.timeline_json_file = right and str(right)
        check_machine(config)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"] and (tmp_path / "file").read_text() == "kept"


def machine(gpus: int, nodes: int = 1, **trainer):
    settings = {"device": "cuda", "n_gpus_per_node": gpus, "nnodes": nodes, **trainer}
    given = {"trainer": settings, "dots": {"selection": {"enable": False}}}
    return OmegaConf.create({**given, "actor_rollout_ref": {"rollout": {"name": "hf"}}})


def test_more_devices_than_there_are_are_refused(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for there, config, key in (
        (0, machine(8), "trainer.n_gpus_per_node"),
        (2, machine(4), "trainer.n_gpus_per_node"),
        (2, machine(2, nodes=2), "trainer.nnodes"),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: there)
        with refused(key, "machine"):
            check_machine(config, train=False)
    check_machine(machine(2), train=False)
    check_machine(machine(8, device="cpu"), train=False)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # the devices of a cluster are not this machine's
    check_machine(machine(8, nodes=2), train=False)


@pytest.mark.parametrize("joined", [False, True])
def test_packages_of_cpus_are_refused_for_gpus_here_and_in_a_cluster(joined, monkeypatch):
    """In a job of SLURM a cluster runs already."""
    if joined:
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    config = machine(8)
    monkeypatch.setattr(torch.version, "cuda", None)
    with refused("trainer.device", "machine", torch.__version__, "scripts/install_gpu.sh", "device=cpu"):
        check_machine(config, train=False)
    monkeypatch.setattr(torch.version, "hip", "6.4")  # AMD's, which verl names cuda as well
    check_machine(config, train=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    for engine in ("vllm", "sglang"):
        config.actor_rollout_ref.rollout.name = engine
        monkeypatch.setattr(machine_checks, "is_installed", lambda name: False)
        with refused("actor_rollout_ref.rollout.name", "machine", engine, "not installed"):
            check_machine(config, train=False)
        monkeypatch.setattr(machine_checks, "is_installed", lambda name, engine=engine: name == engine)
        check_machine(config, train=False)
    monkeypatch.undo()
    assert machine_checks.is_installed("torch") and not machine_checks.is_installed("no_such_package")


@pytest.mark.parametrize("joined", [False, True])
def test_attention_is_asked_for_in_a_cluster_too(joined, monkeypatch):
    if joined:
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(attention_checks, "has_flash_attention", lambda: False)
    config = machine(8)
    config.actor_rollout_ref.model = {"override_config": {"attn_implementation": "flash_attention_2"}}
    with refused(attention_checks.KEY, "machine", "flash-attn is not installed"):
        check_machine(config)
    check_machine(config, train=False)


def test_the_folders_of_a_run_are_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    (tmp_path / "file").write_text("kept")
    for key, place in (("default_local_dir", "x"), ("rollout_data_dir", ""), ("validation_data_dir", "x")):
        config = machine(
            1, device="cpu", **{"default_local_dir": str(tmp_path / "run"), key: str(tmp_path / "file" / place)}
        )
        with refused(f"trainer.{key}", "file"):
            check_machine(config)
    config.trainer.validation_data_dir = None
    check_machine(config)
    config.dots.selection.enable = True
    OmegaConf.update(config, "dots.difficulty.cache", str(tmp_path / "file" / "cache"), force_add=True)
    with refused("dots.difficulty.cache", "file"):
        check_machine(config)
    del config.dots["selection"]  # "~dots.selection" leaves its defaults
    check_machine(config)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"] and (tmp_path / "file").read_text() == "kept"
