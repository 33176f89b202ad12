#!/usr/bin/env bash
# AdaRFT on arithmetic: as grpo.sh, with the questions nearest to a target level that follows the reward.
# 4 to 8 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train adarft adarft "$@"
