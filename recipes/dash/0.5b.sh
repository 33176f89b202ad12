#!/usr/bin/env bash
# DASH, Qwen2.5-0.5B on MATH, 3 epochs.
#   bash recipes/dash/0.5b.sh grpo|no_filter|dash_kl|dash|multi|mini [OVERRIDE ...]
# 4 GPUs. The paper, MATH500 / GSM8K %: grpo 27.6 / 32.8 in 38.9 h, no_filter 27.4 / 31.6 in 6.9 h,
# dash_kl 27.2 / 31.1 in 6.6 h, dash 31.4 / 34.0 in 5.7 h.
# Data: python -m data_prep.math --levels 1 2 3 4 5 --out data/math_all.parquet
source "$(dirname "$0")/common.sh"
dash Qwen/Qwen2.5-0.5B "$@"
