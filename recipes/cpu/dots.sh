#!/usr/bin/env bash
# DOTS on the arithmetic testbed: as grpo.sh, with the questions of each step selected by predicted difficulty.
# 4 to 7 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train_dots dots "$@"
