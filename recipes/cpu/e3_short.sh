#!/usr/bin/env bash
# E3 with its code's length penalty on arithmetic: as e3.sh, and from the second epoch on, which begins after
# 32 steps, right answers to the easiest questions lose reward by their length.
source "$(dirname "$0")/common.sh"
train e3_short e3_short "$@"
