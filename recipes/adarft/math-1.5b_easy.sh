#!/usr/bin/env bash
# AdaRFT, Qwen2.5-Math-1.5B on DeepScaleR with mostly easy difficulties.
#   bash recipes/adarft/math-1.5b_easy.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_easy.parquet
#   FILE: the authors' 10,000 rows, of which 9,841 are written; common.sh says whose they are, and why
source "$(dirname "$0")/common.sh"
adarft Qwen/Qwen2.5-Math-1.5B deepscaler_easy 3000 "$@"
