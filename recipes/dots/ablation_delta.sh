#!/usr/bin/env bash
# Share delta of fresh questions instead of 0.5. The buffer must hold what a batch replays: below 0.5, and there
# alone, it has 512 groups instead of 256.
#   [OF=math-1.5b_math] bash recipes/dots/ablation_delta.sh [DELTA] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
delta=0.25
if word "$@"; then delta=$1; shift; fi
if awk -v delta="$delta" 'BEGIN { exit !(delta < 0.5) }'; then export CAPACITY=${CAPACITY:-512}; fi
ablate delta dots.replay.delta "$delta" "$@"
