#!/usr/bin/env bash
# One setting of DOTS with rollout replay changed, on arithmetic: dots_rr.sh, or grpo.sh for `static`.
#   bash recipes/cpu/ablation.sh NAME [VALUE] [OVERRIDE ...]
# References K of a round; target difficulty alpha; temperature tau of the draw around it, where 0 takes the nearest;
# share delta of fresh questions; capacity C of the buffer, in groups; greatest age of a group, in steps; where a question
# may be twice (none, batch, buffer); whether references are trained on; and a static curriculum from easy to hard in place
# of DOTS, under this name adarft_schedule.sh. Replay as hard as it goes: delta 0.25 dots.replay.max_age=4.
source "$(dirname "$0")/common.sh"
ABLATIONS='k dots_rr dots.selection.references 4
alpha dots_rr dots.selection.alpha 0.3
tau dots_rr dots.selection.tau 0.5
delta dots_rr dots.replay.delta 0.25
c dots_rr dots.replay.capacity 16
age dots_rr dots.replay.max_age 1
overlap dots_rr dots.replay.overlap buffer
reuse dots_rr dots.selection.reuse_references False
static grpo dots.preset adarft_schedule'

recipe() {  # recipe METHOD [OVERRIDE ...]
    exec bash "recipes/cpu/$1.sh" "${@:2}"
}

ablate recipe "$@"
