#!/usr/bin/env bash
# AdaRFT, Qwen2.5-7B on DeepScaleR with mostly easy difficulties.
#   bash recipes/adarft/7b_easy.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_easy.parquet
#   FILE: the authors' 10,000 rows, of which 9,841 are written; common.sh says whose they are, and why
source "$(dirname "$0")/common.sh"
TP=${TP:-2}
adarft Qwen/Qwen2.5-7B deepscaler_easy 8000 "$@"
