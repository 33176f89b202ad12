#!/usr/bin/env bash
# K references a round instead of 256.   [OF=math-1.5b_math] bash recipes/dots/ablation_k.sh [K] [OVERRIDE ...]
# The paper, figure 7: 128 is comparable.
source "$(dirname "$0")/common.sh"
ablate k dots.selection.references 128 "$@"
