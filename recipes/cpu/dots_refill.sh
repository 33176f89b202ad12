#!/usr/bin/env bash
# DOTS with refill on arithmetic: as dots.sh, and groups of which fewer than 0.2 or more than 0.8 of the
# rollouts are right give way to the questions that are predicted to be next best. dapo.sh has verl's own refill.
source "$(dirname "$0")/common.sh"
train dots_refill dots dots.refill.enable=True dots.refill.within=[0.2,0.8] "$@"
