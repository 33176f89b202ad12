"""What a run needs of the machine: variables, devices, and folders that can be written."""

import os

import pytest
import torch
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.launch.environment import check_temporary_folder, repair_devices
from verl_dots.launch.machine_checks import check_machine, try_writing

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
    config = machine(1, default_local_dir=str(tmp_path / "run"))
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
    return OmegaConf.create({"trainer": settings, "dots": {"selection": {"enable": False}}})


def test_more_devices_than_there_are_are_refused(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
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


def test_the_folders_of_a_run_are_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    (tmp_path / "file").write_text("kept")
    for key, place in (("default_local_dir", "x"), ("rollout_data_dir", ""), ("validation_data_dir", "x")):
        config = machine(1, **{"default_local_dir": str(tmp_path / "run"), key: str(tmp_path / "file" / place)})
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
