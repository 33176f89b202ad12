#!/usr/bin/env bash
# PPO with a critic on arithmetic, AdaRFT's baseline: 64 questions a step, one rollout of each.
source "$(dirname "$0")/common.sh"
train_ppo ppo grpo "$@"
