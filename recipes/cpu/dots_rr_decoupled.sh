#!/usr/bin/env bash
# DOTS with rollout replay on arithmetic in the form of the paper's code: as dots_rr.sh, but the loss clips
# the change within the step and weights each token by proximal / behaviour. A forward pass more, of all rows. 4 to 7
# minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train dots_rr_decoupled dots_rr_code "$@"
