#!/usr/bin/env bash
# Target difficulty alpha instead of 0.5, on the arithmetic testbed.
#   bash recipes/cpu/ablation_alpha.sh [ALPHA] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate alpha dots.selection.alpha 0.3 "$@"
