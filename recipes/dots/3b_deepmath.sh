#!/usr/bin/env bash
# DOTS and rollout replay, Qwen2.5-3B on DeepMath, 8,192 questions.
#   bash recipes/dots/3b_deepmath.sh grpo|dots|dots_rr|dots_rr_code [OVERRIDE ...]
# 8 x L40S (48 GB, hence TOKENS).
# Data: python -m data_prep.deepmath --sample 8192 --out data/deepmath.parquet
source "$(dirname "$0")/common.sh"
TOKENS=${TOKENS:-8192}
dots Qwen/Qwen2.5-3B deepmath 4096 "$@"
