#!/usr/bin/env bash
# All four methods at once on the arithmetic testbed: as dots_rr.sh, with AdaRFT's moving target difficulty, E3's
# rollouts by predicted difficulty and its temperature, and DASH's filter. 4 to 8 minutes on 2 cores. The entropy is that
# of the rollouts' own log-probs, so there is no forward pass before the update here either. By its few questions alone
# it is 0.03 to 0.2 nats in a step: its target is the mean of 16 steps, and the temperature follows a moving average.
source "$(dirname "$0")/common.sh"
train_dots all \
    dots.replay.enable=True dots.replay.delta=0.5 dots.replay.capacity=8 dots.loss.behaviour=engine \
    actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr algorithm.adv_estimator=grpo_rr \
    dots.adarft.enable=True dots.adarft.range=[0,1] dots.adarft.initial=0.5 dots.adarft.eta=0.1 \
    dots.budget.enable=True dots.budget.by=predicted dots.budget.widen=null \
    dots.temperature.enable=True dots.temperature.anneal_from=0.6 dots.temperature.warm_up=16 \
    dots.temperature.entropy=engine dots.temperature.damping=0.8 \
    dots.filter.enable=True "$@"
