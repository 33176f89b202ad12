"""Limits around a process, by files as the kernel has them."""

from verl_dots.processes import control_groups


def test_the_limits_of_all_control_groups_count(tmp_path, monkeypatch):
    """SLURM's limit is in the job's group, above that of the step."""
    own = tmp_path / "cgroup"
    own.write_text("0::/job_1/step_0\n")
    step = tmp_path / "top" / "job_1" / "step_0"
    step.mkdir(parents=True)
    for folder, most, used, cores in ((step, "max", 1000, "max"), (step.parent, "5000", 2000, "150000")):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text("anon 800\nfile 1000\nshmem 300\ninactive_file 600\nactive_file 100\n")
        (folder / "cpu.max").write_text(f"{cores} 100000\n")
    assert [*control_groups.groups("cpu", own, tmp_path / "top")] == [step, step.parent, tmp_path / "top"]
    assert control_groups.free_memory(own, tmp_path / "top") == 3700  # 5,000 - (2,000 - 700 of files)
    (step.parent / "memory.stat").unlink()
    assert control_groups.free_memory(own, tmp_path / "top") == 3000
    monkeypatch.setattr(control_groups.os, "sched_getaffinity", lambda _: set(range(8)))
    assert control_groups.free_cores(own, tmp_path / "top") == 1.5
    assert control_groups.free_cores(tmp_path / "none", tmp_path) == 8


def test_control_groups_of_version_1_count_each_in_its_tree(tmp_path, monkeypatch):
    """As SLURM has them on older systems; without a limit memory has a number of its own, and cores have -1."""
    own, top = tmp_path / "cgroup", tmp_path / "top"
    own.write_text("9:memory:/slurm/job_1/step_0\n4:cpu,cpuacct:/slurm/job_1\n1:name=systemd:/\n0::/\n")
    job, cores = top / "memory" / "slurm" / "job_1", top / "cpu,cpuacct" / "slurm" / "job_1"
    for folder, most, used in ((job / "step_0", 9223372036854771712, 1000), (job, 7000, 3000)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.limit_in_bytes").write_text(f"{most}\n")
        (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
        own_and_below = "inactive_file 1\nactive_file 2\ntotal_inactive_file 500\ntotal_active_file 250\n"
        (folder / "memory.stat").write_text(own_and_below)
    cores.mkdir(parents=True)
    (cores / "cpu.cfs_period_us").write_text("100000\n")
    (cores / "cpu.cfs_quota_us").write_text("250000\n")
    (cores.parent / "cpu.cfs_period_us").write_text("100000\n")
    (cores.parent / "cpu.cfs_quota_us").write_text("-1\n")
    monkeypatch.setattr(control_groups.os, "sched_getaffinity", lambda _: set(range(8)))
    assert control_groups.free_memory(own, top) == 4750  # 7,000 - (3,000 - 750 of files)
    assert control_groups.free_cores(own, top) == 2.5
