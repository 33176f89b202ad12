#!/usr/bin/env bash
# DASH's gradient filter on arithmetic: as grpo.sh, without the rows that have no gradient. 3 to 7 minutes
# on 2 cores.
source "$(dirname "$0")/common.sh"
train dash dash "$@"
