#!/usr/bin/env bash
# DASH's Mini on arithmetic: as dash.sh, with K = 4 updates of 2 questions each on the 8 that are sampled at
# once: 240 updates on the questions of 60 steps.
source "$(dirname "$0")/common.sh"
STEPS=${STEPS:-240} train dash_mini dash_mini trainer.test_freq=20 trainer.save_freq=80 "$@"
