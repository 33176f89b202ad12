import subprocess

from verl_dots.training import origin


def git(folder, *command):
    names = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(["git", "-C", folder, *names, *command], check=True, capture_output=True, text=True).stdout


def test_the_commit_is_that_of_the_checkout_and_says_whether_files_differ(tmp_path):
    assert origin.commit(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert origin.commit(tmp_path) is None  # nothing is committed yet
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a"), git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "new").touch()  # untracked
    assert origin.commit(tmp_path) == head
    (tmp_path / "a").write_text("2")
    assert origin.commit(tmp_path) == head + "+"
    (tmp_path / "inside").mkdir()
    assert origin.commit(tmp_path / "inside") is None


def test_the_machine_is_named_by_its_processor_cores_and_gpus(tmp_path, monkeypatch):
    (cpu := tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Fast 9000\nmodel name\t: other\n")
    (gpu := tmp_path / "gpus" / "0000:01" / "information").parent.mkdir(parents=True)
    gpu.write_text("Model: \t\t NVIDIA H100\nIRQ: 1\n")
    monkeypatch.setattr(origin, "CPU_FILE", cpu)
    monkeypatch.setattr(origin, "GPU_FOLDER", tmp_path / "gpus")
    monkeypatch.setattr(origin.os, "sched_getaffinity", lambda process: {0, 3})
    assert origin.machine() == {"cpu": "Fast 9000", "cores": 2, "gpus": ["NVIDIA H100"]}
    monkeypatch.setattr(origin, "CPU_FILE", tmp_path / "none")
    assert origin.machine()["cpu"] == ""
