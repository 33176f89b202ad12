#!/usr/bin/env bash
# The tests that scripts/test.sh leaves out: further training runs through Ray, two hours on 2 cores (SLURM: test_slurm.sh).
exec bash "$(dirname "$0")/test.sh" -m "long and not slurm" "$@"
