#!/usr/bin/env bash
# DOTS on the arithmetic testbed: as grpo.sh, with the questions of each step selected by predicted difficulty.
# 4 to 7 minutes on 2 cores. As in the paper a quarter as many references as selected questions, here 8 for 4 batches of
# 8; tau spreads the choice over more than the very nearest; embeddings are the frozen tiny model's own.
source "$(dirname "$0")/common.sh"
train dots \
    dots.selection.enable=True dots.selection.references=8 dots.selection.mu=4 dots.selection.tau=0.05 \
    dots.difficulty.predictor=online dots.difficulty.half_life=16 dots.difficulty.layers=all \
    dots.difficulty.cache="${CACHE:-runs/embeddings}" "$@"
