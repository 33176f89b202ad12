#!/usr/bin/env bash
# A filter by difficulty on the arithmetic testbed, one of AdaRFT's baselines: as grpo.sh, on levels 2 to 9 alone.
# 3 to 7 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train adarft_filter \
    dots.adarft.enable=True dots.adarft.difficulty=extra_info.level dots.adarft.range=[1,10] \
    dots.adarft.initial=1 dots.adarft.follow=nothing dots.adarft.within=[2,9] "$@"
