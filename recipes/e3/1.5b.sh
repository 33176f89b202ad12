#!/usr/bin/env bash
# E3, DeepSeek-R1-Distill-Qwen-1.5B on the paper's 10,240 rows of MATH, Omni-MATH, AMC and AIME, 3 epochs.
#   bash recipes/e3/1.5b.sh grpo|dapo|entropy|temperature|annealing|budget|e3|short [OVERRIDE ...]
# 4 GPUs. The paper, pass@1 / pass@16 of AIME24, AMC23, MATH500 and OlympiadBench: grpo 51.17 / 79.76, dapo 45.50 /
# 77.43, entropy 49.67 / 78.37, temperature 51.43 / 81.83, annealing 51.86 / 80.68, e3 52.47 / 82.20.
# Data: python -m data_prep.e3 --source train_data_10k.parquet --out data/e3_train.parquet
#   and valid_data.parquet to data/e3_valid.parquet the same way; common.sh says whose files these are
source "$(dirname "$0")/common.sh"
GPUS=${GPUS:-4}
e3 deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B 5e-6 "$@"
