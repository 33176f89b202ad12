#!/usr/bin/env bash
# AdaRFT, Qwen2.5-7B on DeepScaleR with mostly easy difficulties.
#   bash recipes/adarft/7b_easy.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs. The paper at step 40: AdaRFT 45.94 %, 247 s a step; PPO 45.07 %, 235 s and
# 20 steps more to get there; with the filter 44.98 %, 17 more; on the schedule 43.46 %, 23 more.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_easy.parquet
#   FILE: the authors' 10,000 rows; common.sh says whose they are, and what is written of them
source "$(dirname "$0")/common.sh"
TP=${TP:-2}
adarft Qwen/Qwen2.5-7B deepscaler_easy 8000 "$@"
