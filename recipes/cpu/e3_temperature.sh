#!/usr/bin/env bash
# E3's temperature alone on arithmetic: as grpo.sh, with a temperature that holds the entropy. 4 to 8 minutes
# on 2 cores.
source "$(dirname "$0")/common.sh"
train e3_temperature e3_temperature "$@"
