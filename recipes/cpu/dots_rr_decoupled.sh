#!/usr/bin/env bash
# DOTS with rollout replay on the arithmetic testbed in the form of the paper's code: as dots_rr.sh, but the loss clips
# the change within the step and weights each token by proximal / behaviour. A forward pass more, of all rows.
# 4 to 7 minutes on 2 cores.
source "$(dirname "$0")/common.sh"
train_dots dots_rr_decoupled \
    dots.replay.enable=True dots.replay.delta=0.5 dots.replay.capacity=8 dots.loss.behaviour=engine \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr_decoupled algorithm.adv_estimator=grpo_rr "$@"
