#!/usr/bin/env bash
# E3 with its code's length penalty on the arithmetic testbed: as e3.sh, and right answers to the easiest questions lose
# reward by their length: a third at 48 tokens; with the code's 0.0001 a token it is two fifths at 6,144.
source "$(dirname "$0")/common.sh"
train e3_short \
    dots.budget.enable=True dots.temperature.enable=True dots.temperature.anneal_from=0.6 \
    dots.temperature.warm_up=16 data.train_max_samples=256 \
    dots.length_penalty.enable=True dots.length_penalty.strength=0.01 "$@"
