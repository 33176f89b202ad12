#!/usr/bin/env bash
# E3's temperature with a target that falls from 0.6 of the run on, on arithmetic: as e3_temperature.sh
# otherwise.
source "$(dirname "$0")/common.sh"
train e3_annealing e3_annealing "$@"
