#!/usr/bin/env bash
# AdaRFT, Qwen2.5-7B on DeepScaleR with mostly hard difficulties.
#   bash recipes/adarft/7b_difficult.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs. The paper at step 40: AdaRFT 46.83 %, 240 s a step; PPO 44.17 %, 246 s and
# 24 steps more to get there; with the filter 45.35 %, 25 more; on the schedule 45.54 %, 9 more.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_difficult.parquet
#   FILE: the authors' 9,995 rows, of which 9,805 are written; common.sh says whose they are, and why
source "$(dirname "$0")/common.sh"
TP=${TP:-2}
adarft Qwen/Qwen2.5-7B deepscaler_difficult 8000 "$@"
