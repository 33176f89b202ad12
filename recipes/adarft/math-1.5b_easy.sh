#!/usr/bin/env bash
# AdaRFT, Qwen2.5-Math-1.5B on DeepScaleR with mostly easy difficulties.
#   bash recipes/adarft/math-1.5b_easy.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs. The paper at step 60: AdaRFT 39.18 %, 121 s a step; PPO 38.46 %, 121 s and
# 16 steps more to get there; with the filter 38.15 %, 21 more; on the schedule 38.09 %, 35 more.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_easy.parquet
#   FILE: the authors' 10,000 rows; common.sh says whose they are, and what is written of them
source "$(dirname "$0")/common.sh"
adarft Qwen/Qwen2.5-Math-1.5B deepscaler_easy 3000 "$@"
