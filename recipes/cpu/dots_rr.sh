#!/usr/bin/env bash
# DOTS with rollout replay on the arithmetic testbed: as dots.sh, with half of each batch replayed and GRPO-RR's loss. 3
# to 6 minutes on 2 cores. As in the paper the buffer holds as many groups as a batch has questions. The engine's
# log-probs, equal to the trainer's within 2e-6 here, are those of the behaviour policy: no forward pass recomputes
# them.
source "$(dirname "$0")/common.sh"
train_dots dots_rr \
    dots.replay.enable=True dots.replay.delta=0.5 dots.replay.capacity=8 dots.loss.behaviour=engine \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr algorithm.adv_estimator=grpo_rr "$@"
