#!/usr/bin/env bash
# Buffer of C groups instead of 256; the paper uses both.
#   [OF=math-1.5b_math] bash recipes/dots/ablation_c.sh [C] [OVERRIDE ...]
source "$(dirname "$0")/common.sh"
ablate c dots.replay.capacity 512 "$@"
