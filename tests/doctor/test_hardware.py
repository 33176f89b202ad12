"""What the doctor makes of CPUs, of InfiniBand and of a sum over all GPUs; without any."""

import math
import time

import pytest
import torch.distributed as distributed

from verl_dots.doctor import hardware
from verl_dots.doctor.context import Context
from verl_dots.sizes import GB


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("counted", "given", "cores", "job", "outcome", "value"),
    [
        (64, "null", 64, "", "pass", "64"),
        (4, "null", 4, "", "fail", "Ray counts 4"),
        (64, "8", 64, "", "fail", "Ray counts 8"),
        # Ray counts cores that this process may not use, or is told of some: the run works, and is slower.
        (64, "null", 4, "", "warning", "4, fewer than the 34"),
        (4, "34", 4, "", "warning", "4, fewer than the 34"),
        (4, "null", 4, "9", "warning", "4, fewer than the 34"),
    ],
)
def test_cpus_fail_only_where_ray_counts_too_few(counted, given, cores, job, outcome, value, monkeypatch):
    """3 for each of 8 GPUs, and 10."""
    monkeypatch.setattr(hardware, "counted_cpus", lambda: counted)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
    overrides = ("trainer.n_gpus_per_node=8", f"ray_kwargs.ray_init.num_cpus={given}")
    row = hardware._cpus(Context("", "r", overrides, 8), cores)
    assert (row.check, row.outcome) == ("CPUs", outcome) and row.value.startswith(value), row
    fixes = {"pass": "", "fail": "ray_kwargs.ray_init.num_cpus=34", "warning": "sbatch --cpus-per-task=64"}
    assert fixes[outcome] in row.fix and bool(row.fix) == (outcome != "pass")


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize(
    ("state", "devices", "library", "value", "fix"),
    [
        ("4: ACTIVE", 1, "libc.so.6", "1 of 1 ports are active, 1 devices can be opened, libc.so.6 loads", ""),
        ("1: DOWN", 1, "libc.so.6", "0 of 1 ports are active, 1 devices can be opened, libc.so.6 loads",
         "ask the administrator"),
        # In a container that was not given the devices, or has no library.
        ("4: ACTIVE", 0, "libc.so.6", "1 of 1 ports are active, 0 devices can be opened, libc.so.6 loads",
         "start the container with --device="),
        ("4: ACTIVE", 2, "libnone.so.1", "1 of 1 ports are active, 2 devices can be opened, libnone.so.1 does not load",
         "install libibverbs1"),
    ],
)  # fmt: skip
def test_infiniband_must_be_there_for_this_process(state, devices, library, value, fix, tmp_path, monkeypatch):
    port = tmp_path / "class/mlx5_0/ports/1"
    for folder in (port, tmp_path / "dev"):
        folder.mkdir(parents=True)
    (port / "state").write_text(f"{state}\n")
    for number in range(devices):
        (tmp_path / f"dev/uverbs{number}").touch()
    (tmp_path / "dev/rdma_cm").touch()
    monkeypatch.setattr(hardware, "INFINIBAND", tmp_path / "class")
    monkeypatch.setattr(hardware, "VERBS", tmp_path / "dev")
    monkeypatch.setattr(hardware, "LIBIBVERBS", library)
    row = hardware._infiniband(Context("", "r", ("trainer.nnodes=2",), 1))
    assert (row.check, row.value, row.outcome) == ("InfiniBand", value, "fail" if fix else "pass")
    assert fix in row.fix and bool(row.fix) == bool(fix)


TAKEN, EMPTY = (40 * GB, 85 * GB), (84 * GB, 85 * GB)


@pytest.mark.parametrize(
    ("memory", "visible", "outcome", "value", "fix"),
    [
        ([EMPTY] * 4, None, "pass", "84.0 of 85.0 GB", ""),
        # Ray would take the first four of five, of which one is another's.
        ([EMPTY, TAKEN, EMPTY, EMPTY, EMPTY], None, "warning", "40.0 of 85.0 GB of the fullest; free: 0, 2, 3, 4",
         "export CUDA_VISIBLE_DEVICES=0,2,3,4, or"),
        ([EMPTY, TAKEN, EMPTY, EMPTY, EMPTY], "7,6,5,4,3", "warning", "free: 7, 5, 4, 3",
         "export CUDA_VISIBLE_DEVICES=7,5,4,3, or"),
        ([EMPTY, EMPTY, EMPTY, TAKEN], None, "fail", "free: 0, 1, 2", "export CUDA_VISIBLE_DEVICES=0,1,2 GPUS=3"),
        ([EMPTY, EMPTY, EMPTY], None, "pass", "84.0 of 85.0 GB", ""),  # too few are another row's affair
        ([TAKEN] * 4, None, "fail", "free: none", "what an earlier run has left"),
    ],
)  # fmt: skip
def test_gpus_that_others_have_fail_only_where_the_run_needs_them(memory, visible, outcome, value, fix, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    row = hardware.free_row(memory, wanted=4)
    assert (row.check, row.outcome) == ("free memory of a GPU", outcome), row
    assert row.value.endswith(value) and fix in row.fix and bool(row.fix) == (outcome != "pass")


def reduced(folder, monkeypatch, change):
    """Sum and GB/s of one rank; `change` takes numbers and how many reductions of them there were before."""
    reduce, sizes = distributed.all_reduce, []

    def changed(numbers):
        reduce(numbers)
        change(numbers, sizes.count(len(numbers)))
        sizes.append(len(numbers))

    monkeypatch.setattr(distributed, "all_reduce", changed)
    hardware._reduce(0, 1, "gloo", str(folder / "meeting"), str(folder / "found"))
    return map(float, (folder / "found").read_text().split())


def test_the_speed_of_an_all_reduce_is_that_of_a_warm_one(tmp_path, monkeypatch):
    """In the second that the first one takes here, its 4 MB are 0.004 GB/s."""
    total, rate = reduced(tmp_path, monkeypatch, lambda numbers, before: time.sleep(0 if before else 1))
    assert total == 0 and rate > 0.04


def test_one_number_that_is_not_the_sum_is_seen(tmp_path, monkeypatch):
    total, _ = reduced(tmp_path, monkeypatch, lambda numbers, before: numbers[7].add_(1))
    assert math.isnan(total)


@pytest.mark.parametrize(
    ("told", "ends", "outcome", "value"),
    [
        (["Default"] * 8, 0, "pass", "Default"),
        (["Default", "Exclusive_Process"], 0, "fail", "Default, Exclusive_Process"),
        (["Prohibited"], 0, "fail", "Prohibited"),
        (["NVIDIA-SMI has failed"], 9, None, None),
        ([], 0, None, None),
    ],
)
def test_several_processes_must_be_let_onto_a_gpu(told, ends, outcome, value, tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in told) + f"exit {ends}\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    rows = [(row.outcome, row.value) for row in hardware.mode_rows()]
    assert rows == ([(outcome, value)] if outcome else [])


def test_without_nvidia_smi_nothing_is_said_of_the_mode(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hardware.mode_rows() == []
