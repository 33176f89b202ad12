#!/usr/bin/env bash
# DASH's preemptive sampling on the arithmetic testbed: as dash.sh, with the questions of 4 steps rolled out at once and
# the ratio to the policy that sampled them. 3 to 7 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train dash_preemptive \
    dots.filter.enable=True dots.preemptive.enable=True dots.preemptive.prompts=32 \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr "$@"
