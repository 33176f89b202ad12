#!/usr/bin/env bash
# AdaRFT, Qwen2.5-Math-1.5B on DeepScaleR with mostly hard difficulties.
#   bash recipes/adarft/math-1.5b_difficult.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs. The paper at step 60: AdaRFT 40.48 %, 122 s a step; PPO 37.41 %, 133 s and
# 43 steps more to get there; with the filter 37.22 %, 49 more; on the schedule 37.22 %, 16 more.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_difficult.parquet
#   FILE: the authors' 9,995 rows, of which 9,805 are written; common.sh says whose they are, and why
source "$(dirname "$0")/common.sh"
adarft Qwen/Qwen2.5-Math-1.5B deepscaler_difficult 3000 "$@"
