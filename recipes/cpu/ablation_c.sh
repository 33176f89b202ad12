#!/usr/bin/env bash
# Buffer of C groups instead of 8, on the arithmetic testbed.   bash recipes/cpu/ablation_c.sh [C] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate c dots.replay.capacity 16 "$@"
