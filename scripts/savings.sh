#!/usr/bin/env bash
# What each way to a cheaper step brings on the ladder: the runs of recipes/evidence/savings.yaml.
#   bash scripts/savings.sh              accuracies and tokens, a seed after the other; run again, it resumes: an hour
#   bash scripts/savings.sh --time       seconds of a step, with nothing else on the machine: half a minute a run
#   python -m scripts.savings_results --keep runs/savings --write     the tables and the figure of both
#   SEEDS="1 2 3"  STEPS=30  ONLY="grpo dots_rr"
set -euo pipefail
cd "$(dirname "$0")/.."
case "$*" in
    '') kind=--no-time ;;
    --time) kind=--time ;;
    *) echo "savings.sh: unknown argument '$*'; give --time or nothing" >&2; exit 2 ;;
esac
# shellcheck disable=SC2086 - lists of words
exec python -m scripts.reproduce --matrix recipes/evidence/savings.yaml --runs runs/savings --no-evidence $kind \
    ${SEEDS:+--seeds $SEEDS} ${STEPS:+--steps $STEPS} ${ONLY:+--methods $ONLY}
