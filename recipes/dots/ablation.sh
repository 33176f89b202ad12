#!/usr/bin/env bash
# One setting of DOTS with rollout replay changed; `static` is GRPO on a static curriculum.
#   [OF=math-1.5b_math] bash recipes/dots/ablation.sh NAME [VALUE] [OVERRIDE ...]
# References K of a round (figure 7: 128 is comparable); target difficulty alpha (0.5 has the largest gradient, theorem
# 1); temperature tau of the draw around it, where 0 takes the nearest, a large one all alike; share delta of fresh
# questions; capacity C of the buffer, in groups (the paper uses 256 and 512); greatest age of a group, in steps; where a
# question may be twice (none, batch, buffer); whether references with mixed outcomes are trained on (appendix A.1: 4 to 12
# % less time a step). Replay as hard as it goes is `delta 0.25 dots.replay.max_age=4`: three quarters of a batch, from the
# last four steps.
#
# `static` rises from easy to hard over the run, OF=math-1.5b_deepscaler (figure 6a: DOTS is better). The paper has
# GPT-4o-mini label the questions as easy, middle or hard. Here the labels are in extra_info.difficulty, 0 to 100 by
# success rate of Qwen2.5-Math-7B; TRAIN and dots.adarft.{difficulty,range,initial} take others. Compare with dots and
# grpo on the same TRAIN.
# Data of it: python -m data_prep.deepscaler --source FILE --out data/deepscaler_uniform.parquet
#   FILE: the uniform set of AdaRFT's authors, see recipes/adarft/common.sh
source "$(dirname "$0")/common.sh"
ABLATIONS='k dots_rr dots.selection.references 128
alpha dots_rr dots.selection.alpha 0.3
tau dots_rr dots.selection.tau 0.1
delta dots_rr dots.replay.delta 0.25
c dots_rr dots.replay.capacity 256
age dots_rr dots.replay.max_age 1
overlap dots_rr dots.replay.overlap none
reuse dots_rr dots.selection.reuse_references True
static grpo dots.preset adarft_schedule'

recipe() {  # recipe METHOD KEY=VALUE [OVERRIDE ...]
    local settings=("$2")
    case $2 in
        dots.preset=*) export OF=${OF:-math-1.5b_deepscaler} TRAIN=${TRAIN:-deepscaler_uniform} ;;
    esac
    exec bash "recipes/dots/${OF:-math-1.5b_math}.sh" "$1" "${settings[@]}" "${@:3}"
}

ablate recipe "$@"
