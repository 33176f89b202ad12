#!/usr/bin/env bash
# DOTS with rollout replay on arithmetic: as dots.sh, with half of each batch replayed and GRPO-RR's loss. 3
# to 6 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train dots_rr dots_rr "$@"
