#!/usr/bin/env bash
# A fixed curriculum on arithmetic, one of AdaRFT's baselines: as adarft.sh, with a target that rises evenly
# from level 1 to 10 over the run, whatever the reward. DOTS's static curriculum, too, see ablation.sh. 4 to 8 minutes
# on 2 cores.
source "$(dirname "$0")/common.sh"
train adarft_schedule adarft_schedule "$@"
