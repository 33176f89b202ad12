#!/usr/bin/env bash
# E3 on arithmetic: as grpo.sh, with rollouts by difficulty and a temperature that holds the entropy. 4 to 8
# minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train e3 e3 "$@"
