#!/usr/bin/env bash
# DOTS and rollout replay, Qwen2.5-Math-1.5B on Open-Reasoner-Zero, 8,192 questions.
#   bash recipes/dots/math-1.5b_orz.sh grpo|dots|dots_rr|dots_rr_code [OVERRIDE ...]
# 8 x L40S (48 GB, hence TOKENS).
# Data: python -m data_prep.open_reasoner_zero --sample 8192 --out data/orz.parquet
source "$(dirname "$0")/common.sh"
TOKENS=${TOKENS:-8192}
dots Qwen/Qwen2.5-Math-1.5B orz 3072 "$@"
