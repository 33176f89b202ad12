#!/usr/bin/env bash
# A static curriculum in place of DOTS, from easy to hard over the run (the paper, figure 6a: DOTS is better).
#   [OF=math-1.5b_deepscaler] bash recipes/dots/ablation_static.sh [OVERRIDE ...]
# The paper has GPT-4o-mini label the questions as easy, middle or hard. Here the labels are in extra_info.difficulty, 0
# to 100 by success rate of Qwen2.5-Math-7B; TRAIN and dots.adarft.{difficulty,range,initial} take others. Compare with
# dots and grpo on the same TRAIN.
# Data: python -m data_prep.deepscaler --source FILE --out data/deepscaler_uniform.parquet
#   FILE: the uniform set of AdaRFT's authors, see recipes/adarft/common.sh
source "$(dirname "$0")/common.sh"
export TRAIN=${TRAIN:-deepscaler_uniform} VARIANT=static
exec bash "recipes/dots/${OF:-math-1.5b_deepscaler}.sh" grpo dots.adarft.enable=True dots.adarft.follow=schedule \
    dots.adarft.range=[0,100] dots.adarft.initial=0 "$@"
