#!/usr/bin/env bash
# From nothing to a table and figures: installs into .venv, makes the testbed and a tiny model, trains GRPO and DOTS with
# rollout replay on the CPU and compares them. 15 to 30 minutes on 2 cores. Run again, it resumes from what is there.
#   SEEDS="1"  STEPS=60  METHODS="grpo dots_rr"   (methods: the recipes of recipes/cpu)
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/attend.sh
source scripts/install.sh

data=data/arithmetic model=models/tiny runs=runs/quickstart began=$SECONDS
[ -f $data/train.parquet ] || attend python -m data_prep.arithmetic --out $data
[ -f $model/config.json ] || attend python scripts/make_tiny_model.py --out $model --data $data

folders=()
for seed in ${SEEDS:-1}; do
    for method in ${METHODS:-grpo dots_rr}; do
        run=$runs/$method-seed$seed
        folders+=("$run")
        if grep -q '"finished": "' "$run/run.json" 2>/dev/null; then
            echo "$run is complete."
        else
            DATA=$data MODEL=$model SEED=$seed RUN=$run STEPS=${STEPS:-60} attend bash "recipes/cpu/$method.sh"
        fi
    done
done
python -m verl_dots.report "${folders[@]}" --out report/quickstart
echo "Quickstart: $((SECONDS - began)) s after the installation."
