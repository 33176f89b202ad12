#!/usr/bin/env bash
# GRPO on the arithmetic testbed: the baseline of every comparison. About 3 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train grpo "$@"
