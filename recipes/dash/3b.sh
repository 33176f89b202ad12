#!/usr/bin/env bash
# DASH, Qwen2.5-3B on MATH, 3 epochs.
#   bash recipes/dash/3b.sh grpo|no_filter|dash_kl|dash|multi|mini [OVERRIDE ...]
# 4 GPUs.
# Data: python -m data_prep.math --levels 1 2 3 4 5 --out data/math_all.parquet
source "$(dirname "$0")/common.sh"
dash Qwen/Qwen2.5-3B "$@"
