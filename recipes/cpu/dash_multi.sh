#!/usr/bin/env bash
# DASH's Multi on the arithmetic testbed: as dash.sh, with K = 3 updates on each batch: 180 updates on the questions of
# 60 steps.
source "$(dirname "$0")/common.sh"
STEPS=${STEPS:-180} train dash_multi \
    dots.filter.enable=True dots.preemptive.enable=True dots.preemptive.prompts=8 dots.preemptive.updates=3 \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr trainer.test_freq=15 trainer.save_freq=60 "$@"
