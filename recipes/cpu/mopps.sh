#!/usr/bin/env bash
# MoPPS on arithmetic: as grpo.sh, with the questions of each step by a posterior of their success rates.
# Half of the evidence stays at each update, as in the paper on Countdown.
source "$(dirname "$0")/common.sh"
train mopps mopps dots.mopps.memory=0.5 "$@"
