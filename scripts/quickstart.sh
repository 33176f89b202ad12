#!/usr/bin/env bash
# From nothing to a table and figures: installs into .venv, makes questions of arithmetic and a tiny model, trains GRPO and DOTS with
# rollout replay on the CPU and compares them. 4 and a half to 8 minutes on 2 cores. Run again, it resumes from what is there.
#   bash scripts/quickstart.sh --quick            runs of 12 steps, in folders of their own
#   SEEDS="1"  METHODS="grpo dots_rr"             (methods: the recipes of recipes/cpu)
#   STEPS=60                                      runs of another length, in folders of their own
set -euo pipefail
cd "$(dirname "$0")/.."
name=quickstart steps=60
case "$*" in
    '') ;;
    --quick) name=quickstart-quick steps=12 ;;
    *) echo "quickstart.sh: unknown argument '$*'; give --quick or nothing" >&2; exit 2 ;;
esac
name=$name${STEPS:+-$STEPS}
source scripts/attend.sh
source scripts/ready.sh
source scripts/install.sh

data=data/arithmetic model=models/tiny runs=runs/$name began=$SECONDS
ready_testbed $data $model

folders=()
for seed in ${SEEDS:-1}; do
    for method in ${METHODS:-grpo dots_rr}; do
        run=$runs/$method-seed$seed
        folders+=("$run")
        if grep -q '"finished": "' "$run/run.json" 2>/dev/null; then
            echo "$run is complete."
        else
            DATA=$data MODEL=$model SEED=$seed RUN=$run STEPS=${STEPS:-$steps} attend bash "recipes/cpu/$method.sh"
        fi
    done
done
python -m verl_dots.report "${folders[@]}" --out report/$name
echo "Quickstart: $((SECONDS - began)) s after the installation."
