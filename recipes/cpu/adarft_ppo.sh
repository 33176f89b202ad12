#!/usr/bin/env bash
# AdaRFT as the paper trains it, with PPO, on arithmetic: as ppo.sh, with the questions of adarft.sh.
source "$(dirname "$0")/common.sh"
train_ppo adarft_ppo adarft "$@"
