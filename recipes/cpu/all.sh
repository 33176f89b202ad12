#!/usr/bin/env bash
# The four papers together on arithmetic: as dots_rr.sh, with AdaRFT's moving target difficulty, E3's
# temperature, and DASH's filter. 4 to 8 minutes on 2 cores. The entropy is that of the rollouts' own log-probs, so there
# is no forward pass before the update here either. By its few questions alone it is 0.03 to 0.2 nats in a step: the
# temperature follows a moving average.
source "$(dirname "$0")/common.sh"
train all all dots.temperature.entropy=engine dots.temperature.damping=0.8 "$@"
