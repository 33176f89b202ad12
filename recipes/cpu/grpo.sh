#!/usr/bin/env bash
# GRPO on arithmetic: the baseline of every comparison. 3 to 7 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train grpo grpo "$@"
