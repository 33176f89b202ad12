#!/usr/bin/env bash
# The block of README's section on GPUs as one script: installation, data, the doctor, and two runs of a paper's recipe on
# GPUS=8 GPUs. Where the doctor finds a fault it ends before them.
#   FLASH_ATTN=no  without flash-attn, for which there may be neither wheel nor compiler
#   DRY_RUN=1      the runs' commands are printed, nothing is looked at and nothing is trained
# What is there already is used: the same command resumes. Variables of the recipes apply, such as GPUS and MODEL.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv-gpu bash scripts/install_gpu.sh     # driver 580 or newer; vLLM 0.24, flash-attn; Python 3.12 is best
source .venv-gpu/bin/activate
python -m data_prep.math --out data/math.parquet
python -m data_prep.gsm8k --split test --out data/gsm8k_test.parquet
for set in math500 minerva olympiadbench; do python -m data_prep.$set --out data/$set.parquet; done
export PREDICTOR=${PREDICTOR:-online} GPUS=${GPUS:-8}
python -m verl_dots.doctor --recipe "recipes/dots/math-1.5b_math.sh dots_rr" --quick    # minutes: what a run would lack
bash recipes/dots/math-1.5b_math.sh grpo
bash recipes/dots/math-1.5b_math.sh dots_rr
