#!/usr/bin/env bash
# recipes/slurm in jobs of a real SLURM: two nodes on this machine, daemons started for the tests and stopped after.
# Needs root, and slurm-wlm and munge (installed with apt-get where they are not). 15 to 30 minutes on 2 cores.
#   bash scripts/test_slurm.sh -k "not training"      without the three training runs
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh
if ! { command -v slurmctld && command -v munged; } >/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "Installing slurm-wlm and munge ..."
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y slurm-wlm munge; } > /dev/null ||
            echo "apt-get did not install them; the tests will say what is missing" >&2
    fi
fi
exec python -m pytest -m slurm tests/slurm "$@"
