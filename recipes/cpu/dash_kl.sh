#!/usr/bin/env bash
# DASH with KL on arithmetic: as dash_no_filter.sh, with the filter. Rows without an advantage have a
# gradient of KL, and lose it.
source "$(dirname "$0")/common.sh"
train dash_kl dash actor_rollout_ref.actor.use_kl_loss=True actor_rollout_ref.actor.kl_loss_coef=0.04 "$@"
