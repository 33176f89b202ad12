#!/usr/bin/env bash
# E3 on the arithmetic testbed: as grpo.sh, with rollouts by difficulty and a temperature that holds the entropy. 4 to 8
# minutes on 2 cores. The testbed has 4,096 questions, of which 60 steps see 480: the ranks that the paper renews each
# epoch are of the first 256, so that they are known after 32 steps. Why the entropy of 16 steps is the target says
# e3_temperature.sh.
source "$(dirname "$0")/common.sh"
train e3 \
    dots.budget.enable=True dots.temperature.enable=True dots.temperature.anneal_from=0.6 \
    dots.temperature.warm_up=16 data.train_max_samples=256 "$@"
