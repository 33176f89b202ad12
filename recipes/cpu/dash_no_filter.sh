#!/usr/bin/env bash
# DASH without its filter on arithmetic: as grpo.sh, with KL.
source "$(dirname "$0")/common.sh"
train dash_no_filter grpo actor_rollout_ref.actor.use_kl_loss=True actor_rollout_ref.actor.kl_loss_coef=0.04 "$@"
