#!/usr/bin/env bash
# AdaRFT, Qwen2.5-7B on DeepScaleR with uniform difficulties.
#   bash recipes/adarft/7b_uniform.sh ppo|filter|schedule|adarft|grpo|adarft_grpo|... [OVERRIDE ...]
# 8 GPUs. The paper at step 40: AdaRFT 46.92 %, 234 s a step; PPO 44.70 %, 244 s and
# 13 steps more to get there; with the filter 44.57 %, 23 more; on the schedule 44.32 %, 7 more.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_uniform.parquet
#   FILE: the authors' 10,000 rows, of which 7,577 are written; common.sh says whose they are, and why
source "$(dirname "$0")/common.sh"
TP=${TP:-2}
adarft Qwen/Qwen2.5-7B deepscaler_uniform 8000 "$@"
