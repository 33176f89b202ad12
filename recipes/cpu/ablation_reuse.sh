#!/usr/bin/env bash
# References are not trained on, on the arithmetic testbed; all else here trains on those with mixed outcomes.
#   bash recipes/cpu/ablation_reuse.sh [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate reuse dots.selection.reuse_references False "$@"
