#!/usr/bin/env bash
# DOTS on arithmetic: the questions of each step are selected by predicted difficulty. 4 to 7 minutes on 2
# cores.
source "$(dirname "$0")/common.sh"
train dots dots "$@"
