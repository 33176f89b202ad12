#!/usr/bin/env bash
# DASH's Mini on the arithmetic testbed: as dash.sh, with K = 4 updates of 2 questions each on the 8 that are sampled at
# once: 240 updates on the questions of 60 steps. (The paper has 32 updates of 8 on 256.)
source "$(dirname "$0")/common.sh"
STEPS=${STEPS:-240} train dash_mini data.train_batch_size=2 actor_rollout_ref.actor.ppo_mini_batch_size=2 \
    dots.filter.enable=True dots.preemptive.enable=True dots.preemptive.prompts=8 dots.preemptive.updates=4 \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr trainer.test_freq=20 trainer.save_freq=80 "$@"
