#!/usr/bin/env bash
# DASH's Multi on arithmetic: as dash.sh, with K = 3 updates on each batch: 180 updates on the questions of
# 60 steps.
source "$(dirname "$0")/common.sh"
STEPS=${STEPS:-180} train dash_multi dash_multi trainer.test_freq=15 trainer.save_freq=60 "$@"
