#!/usr/bin/env bash
# Share delta of fresh questions instead of 0.5. The buffer must hold what a batch replays: below 0.5 it has 512 groups.
#   [OF=math-1.5b_math] bash recipes/dots/ablation_delta.sh [DELTA] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
CAPACITY=512 ablate delta dots.replay.delta 0.25 "$@"
