#!/usr/bin/env bash
# Target difficulty alpha instead of 0.5, where the gradient is largest (theorem 1).
#   [OF=math-1.5b_math] bash recipes/dots/ablation_alpha.sh [ALPHA] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate alpha dots.selection.alpha 0.3 "$@"
