#!/usr/bin/env bash
# As many rows of a group above its mean as below (after PODS) on arithmetic: as dash.sh, and of the larger
# side of each group only as many as the other has, weighted for all. With dots_rr: bash recipes/cpu/dots_rr.sh
# dots.filter.enable=True dots.filter.balanced=True
source "$(dirname "$0")/common.sh"
train balanced grpo dots.filter.enable=True dots.filter.balanced=True "$@"
