#!/usr/bin/env bash
# What each way to a cheaper step brings on the testbed: the runs of recipes/evidence/savings.yaml, on a pool of which the
# model first solves 40 % always, 40 % never and 20 % sometimes.
#   bash scripts/savings.sh              accuracies and tokens, a seed after the other; run again, it resumes: 90 minutes
#   bash scripts/savings.sh --time       seconds of a step, with nothing else on the machine: a minute a method and seed
#   python -m scripts.savings_results --measure --write               the table and the figure of both
#   SEEDS="1 2 3"  STEPS=30  ONLY="grpo dots_rr"
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
    '') kind=--no-time ;;
    --time) kind=--time ;;
    *) echo "savings.sh: unknown argument '$1'; give --time or nothing" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086 - lists of words
exec python -m scripts.reproduce --matrix recipes/evidence/savings.yaml --runs runs/savings --no-evidence $kind \
    ${SEEDS:+--seeds $SEEDS} ${STEPS:+--steps $STEPS} ${ONLY:+--methods $ONLY}
