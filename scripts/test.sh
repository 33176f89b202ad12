#!/usr/bin/env bash
# Makes .venv if it is not there and runs the tests; arguments go to pytest.
#   bash scripts/test.sh                       all
#   bash scripts/test.sh -m "not e2e"          without the training runs through Ray: under a minute
#   bash scripts/test.sh tests/rollout -k top_p
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh
exec python -m pytest "$@"
