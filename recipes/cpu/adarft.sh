#!/usr/bin/env bash
# AdaRFT on the arithmetic testbed: as grpo.sh, with the questions nearest to a target level that follows the reward.
# 4 to 8 minutes on 2 cores. Levels are 1 to 10; eta is half of that range, as the paper's 50 of 0 to 100.
source "$(dirname "$0")/common.sh"
train adarft \
    dots.adarft.enable=True dots.adarft.difficulty=extra_info.level dots.adarft.range=[1,10] \
    dots.adarft.initial=1 dots.adarft.eta=4.5 "$@"
