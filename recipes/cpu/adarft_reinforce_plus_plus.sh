#!/usr/bin/env bash
# AdaRFT with REINFORCE++ on the arithmetic testbed: as reinforce_plus_plus.sh, with the questions of adarft.sh.
source "$(dirname "$0")/common.sh"
train_singly adarft_reinforce_plus_plus algorithm.adv_estimator=reinforce_plus_plus \
    dots.adarft.enable=True dots.adarft.difficulty=extra_info.level dots.adarft.range=[1,10] \
    dots.adarft.initial=1 dots.adarft.eta=4.5 "$@"
