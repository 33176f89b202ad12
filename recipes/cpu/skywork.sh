#!/usr/bin/env bash
# Skywork-OR1's entropy bonus on arithmetic, the other published way to hold the entropy: as grpo.sh, and the
# bonus's coefficient rises in every step below 0.2 nats.
source "$(dirname "$0")/common.sh"
train skywork skywork "$@"
