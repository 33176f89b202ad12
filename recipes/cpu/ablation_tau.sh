#!/usr/bin/env bash
# Temperature tau of the draw around the target instead of 0.05, on the arithmetic testbed; 0 takes the nearest.
#   bash recipes/cpu/ablation_tau.sh [TAU] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate tau dots.selection.tau 0.5 "$@"
