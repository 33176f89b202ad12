"""scripts/slurm_cluster.sh leaves nothing behind when one of its daemons does not start; needs no SLURM."""

import os
import subprocess

import psutil

from tests.launches import ROOT

SCRIPT = ROOT / "scripts/slurm_cluster.sh"
MUNGED = """
for option; do case $option in --pid-file=*) file=${option#*=} ;; esac; done
sleep 600 > /dev/null 2>&1 &
echo $! > "$file"
echo $! > "$TOLD"
"""


def test_a_start_that_fails_stops_what_it_has_started(tmp_path):
    programs = {"munged": MUNGED, "slurmctld": "echo 'no slurmctld today' >&2; exit 1", "scontrol": "exit 1"}
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}", TOLD=str(tmp_path / "pid"))
    command = ["bash", str(SCRIPT), "start", str(tmp_path / "cluster")]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=120)
    assert (done.returncode, "no slurmctld today" in done.stderr) == (1, True)
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "cluster/munged.pid").exists()
