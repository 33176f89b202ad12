#!/usr/bin/env bash
# Temperature tau of the draw around the target instead of 0.001; 0 takes the nearest, a large one all alike.
#   [OF=math-1.5b_math] bash recipes/dots/ablation_tau.sh [TAU] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate tau dots.selection.tau 0.1 "$@"
