#!/usr/bin/env bash
# The tests that scripts/test.sh leaves out: further training runs through Ray, 15 to 20 minutes on 2 cores.
exec bash "$(dirname "$0")/test.sh" -m long "$@"
