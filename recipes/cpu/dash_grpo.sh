#!/usr/bin/env bash
# DASH's baseline on arithmetic: as dash_no_filter.sh, by an engine of 8 responses at once, as many as the
# update would take.
source "$(dirname "$0")/common.sh"
train dash_grpo grpo \
    actor_rollout_ref.actor.use_kl_loss=True actor_rollout_ref.actor.kl_loss_coef=0.04 \
    actor_rollout_ref.rollout.max_num_seqs=8 "$@"
