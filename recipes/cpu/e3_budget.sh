#!/usr/bin/env bash
# E3's budget alone on arithmetic: as grpo.sh, with rollouts by difficulty, of the 256 questions of e3.sh.
# 4 to 8 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train e3_budget e3_budget "$@"
