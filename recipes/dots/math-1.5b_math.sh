#!/usr/bin/env bash
# DOTS and rollout replay, Qwen2.5-Math-1.5B on MATH, levels 3 to 5.
#   bash recipes/dots/math-1.5b_math.sh grpo|dots|dots_rr|dots_rr_code [OVERRIDE ...]
# 8 x L40S (48 GB, hence TOKENS).
# Data: python -m data_prep.math --out data/math.parquet
source "$(dirname "$0")/common.sh"
TOKENS=${TOKENS:-8192}
dots Qwen/Qwen2.5-Math-1.5B math 3072 "$@"
