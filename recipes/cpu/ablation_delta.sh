#!/usr/bin/env bash
# Share delta of fresh questions instead of 0.5, on the arithmetic testbed; the buffer's 8 groups are enough for all.
#   bash recipes/cpu/ablation_delta.sh [DELTA] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate delta dots.replay.delta 0.25 "$@"
