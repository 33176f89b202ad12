#!/usr/bin/env bash
# References with mixed outcomes are trained on in place of fresh questions (appendix A.1: 4 to 12 % less a step).
#   [OF=math-1.5b_math] bash recipes/dots/ablation_reuse.sh [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate reuse dots.selection.reuse_references True "$@"
