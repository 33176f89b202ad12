#!/usr/bin/env bash
# The papers' tables and figures, from nothing: data, models, runs, timing runs, tables, figures, and a page of all.
#   bash scripts/reproduce.sh --scale cpu             recipes/evidence/cpu.yaml on this machine; run again, it resumes
#   bash scripts/reproduce.sh --scale cpu --quick     two methods, one combination, one seed: 15 minutes on 2 slow cores
#   bash scripts/reproduce.sh --scale gpu             GPU hours of the papers' own runs; --submit gives them to SLURM
#   bash scripts/reproduce.sh --help                  all options
# It runs in the environment that is active, else in .venv, which is made with all that a CPU needs where it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ]; then
    case " $* " in
        *' gpu '*) source "${VENV:-.venv}/bin/activate" ;;  # recipes/slurm/README.md says how it is made
        *) source scripts/install.sh ;;
    esac
fi
exec python -m scripts.reproduce "$@"
