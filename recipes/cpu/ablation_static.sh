#!/usr/bin/env bash
# A static curriculum in place of DOTS, from easy to hard over the run, on the arithmetic testbed: grpo.sh on the
# schedule of adarft_schedule.sh, under the name that it has among the ablations.
source "$(dirname "$0")/common.sh"
VARIANT=static exec bash recipes/cpu/grpo.sh \
    dots.adarft.enable=True dots.adarft.difficulty=extra_info.level dots.adarft.range=[1,10] \
    dots.adarft.initial=1 dots.adarft.follow=schedule "$@"
