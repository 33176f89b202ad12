#!/usr/bin/env bash
# GRPO with an entropy bonus on arithmetic, one of E3's baselines, with its coefficient: as grpo.sh otherwise.
source "$(dirname "$0")/common.sh"
train e3_entropy grpo actor_rollout_ref.actor.entropy_coeff=0.0001 "$@"
