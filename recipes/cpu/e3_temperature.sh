#!/usr/bin/env bash
# E3's temperature alone on the arithmetic testbed: as grpo.sh, with a temperature that holds the entropy.
# 4 to 8 minutes on 2 cores. A step of 8 questions has an entropy of 0.03 to 0.2 nats by its questions alone: the target
# is the mean of 16 steps, where the paper's 64 questions need one, or it would be chance.
source "$(dirname "$0")/common.sh"
train e3_temperature dots.temperature.enable=True dots.temperature.warm_up=16 "$@"
