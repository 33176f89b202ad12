#!/usr/bin/env bash
# K references a round instead of 8, on the arithmetic testbed.   bash recipes/cpu/ablation_k.sh [K] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate k dots.selection.references 4 "$@"
