#!/usr/bin/env bash
# E3, DeepSeek-R1-Distill-Qwen-1.5B on the paper's 10,240 rows of MATH, Omni-MATH, AMC and AIME, 3 epochs.
#   bash recipes/e3/1.5b.sh grpo|dapo|entropy|temperature|annealing|budget|e3|short [OVERRIDE ...]
# 4 GPUs.
# Data: python -m data_prep.e3 --source E3-RL4LLMs/dataset/train_data.parquet --out data/e3_train.parquet
#   and valid_data.parquet to data/e3_valid.parquet the same way; common.sh says whose files these are
source "$(dirname "$0")/common.sh"
GPUS=${GPUS:-4}
e3 deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B 5e-6 "$@"
