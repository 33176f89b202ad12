#!/usr/bin/env bash
# DAPO on arithmetic, one of E3's baselines: as grpo.sh, with a wider upper clip, and groups whose rollouts
# are all alike give way to others. 5 to 12 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train dapo grpo algorithm.filter_groups.enable=True actor_rollout_ref.actor.clip_ratio_high=0.28 "$@"
