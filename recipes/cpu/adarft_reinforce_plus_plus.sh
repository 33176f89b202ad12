#!/usr/bin/env bash
# AdaRFT with REINFORCE++ on arithmetic: as reinforce_plus_plus.sh, with the questions of adarft.sh.
source "$(dirname "$0")/common.sh"
train_singly adarft_reinforce_plus_plus adarft algorithm.adv_estimator=reinforce_plus_plus "$@"
