#!/usr/bin/env bash
# REINFORCE++ on arithmetic, one of AdaRFT's algorithms: as ppo.sh, without a critic.
source "$(dirname "$0")/common.sh"
train_singly reinforce_plus_plus grpo algorithm.adv_estimator=reinforce_plus_plus "$@"
