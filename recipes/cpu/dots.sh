#!/usr/bin/env bash
# DOTS on the arithmetic testbed: as grpo.sh, with the questions of each step selected by predicted difficulty.
# About 5 minutes on 2 cores. Embeddings are the frozen tiny model's own. The tiny model learns within a round, so
# that questions predicted at 0.6 are measured near 0.5; tau spreads the choice over more than the nearest few.
source "$(dirname "$0")/common.sh"
train dots \
    dots.selection.enable=True dots.selection.references=16 dots.selection.alpha=0.6 dots.selection.tau=0.05 \
    dots.difficulty.predictor=online dots.difficulty.layers=all dots.difficulty.cache="${CACHE:-runs/embeddings}" "$@"
