#!/usr/bin/env bash
# AdaRFT as the paper trains it, with PPO, on the arithmetic testbed: as ppo.sh, with the questions of adarft.sh.
source "$(dirname "$0")/common.sh"
train_ppo adarft_ppo \
    dots.adarft.enable=True dots.adarft.difficulty=extra_info.level dots.adarft.range=[1,10] \
    dots.adarft.initial=1 dots.adarft.eta=4.5 "$@"
