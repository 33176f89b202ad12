#!/usr/bin/env bash
# DOTS and rollout replay, Qwen2.5-Math-7B on DeepScaleR, 10,240 questions.
#   bash recipes/dots/math-7b_deepscaler.sh grpo|dots|dots_rr|dots_rr_code [OVERRIDE ...]
# 8 x A100.
# Data: python -m data_prep.deepscaler --sample 10240 --out data/deepscaler.parquet
source "$(dirname "$0")/common.sh"
dots Qwen/Qwen2.5-Math-7B deepscaler 3072 "$@"
