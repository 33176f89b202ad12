#!/usr/bin/env bash
# E3, DeepSeek-R1-Distill-Qwen-7B on the paper's 10,240 rows of MATH, Omni-MATH, AMC and AIME, 3 epochs.
#   bash recipes/e3/7b.sh grpo|dapo|entropy|temperature|annealing|budget|e3|short [OVERRIDE ...]
# 8 GPUs. The paper, pass@1 / pass@16 of AIME24, AMC23, MATH500 and OlympiadBench: grpo 60.40 / 85.63, dapo 58.19 /
# 85.86, annealing (without the budget) 61.05 / 86.05, e3 61.95 / 87.64.
# Data: python -m data_prep.e3 --source train_data_10k.parquet --out data/e3_train.parquet
#   and valid_data.parquet to data/e3_valid.parquet the same way; common.sh says whose files these are
source "$(dirname "$0")/common.sh"
TP=${TP:-2}
e3 deepseek-ai/DeepSeek-R1-Distill-Qwen-7B 2e-6 "$@"
