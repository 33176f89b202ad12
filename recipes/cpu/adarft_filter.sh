#!/usr/bin/env bash
# A filter by difficulty on arithmetic, one of AdaRFT's baselines: as grpo.sh, on levels 2 to 9 alone. 3 to
# 7 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train adarft_filter adarft_filter "$@"
