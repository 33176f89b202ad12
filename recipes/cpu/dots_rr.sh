#!/usr/bin/env bash
# DOTS with rollout replay on the arithmetic testbed: as dots.sh, with half of each batch replayed and GRPO-RR's loss.
# 3 to 5 minutes on 2 cores. As in the paper the buffer holds as many groups as a batch has questions.
source "$(dirname "$0")/common.sh"
train_dots dots_rr \
    dots.replay.enable=True dots.replay.delta=0.5 dots.replay.capacity=8 \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr algorithm.adv_estimator=grpo_rr "$@"
