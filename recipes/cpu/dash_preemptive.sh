#!/usr/bin/env bash
# DASH's preemptive sampling on arithmetic: as dash.sh, with the questions of 4 steps rolled out at once and
# the ratio to the policy that sampled them. No method of the paper: there each update takes all. 3 to 7 minutes on 2
# cores.
source "$(dirname "$0")/common.sh"
train dash_preemptive dash_multi dots.preemptive.prompts=32 dots.preemptive.updates=null "$@"
