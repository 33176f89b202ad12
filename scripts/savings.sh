#!/usr/bin/env bash
# What each way to a cheaper step brings on the testbed: runs of one change each to DOTS with replay, against GRPO at the
# learning rate that is best for GRPO, on a pool of which the model first solves 40 % always, 40 % never and 20 % sometimes.
#   bash scripts/savings.sh              accuracies and tokens, a seed after the other; run again, it resumes: 90 minutes
#   bash scripts/savings.sh --time       seconds of a step, with nothing else on the machine: a minute a method and seed
#   python -m scripts.savings_results --write                         the table and the figure of both
#   SEEDS="1 2 3"  STEPS=30  ONLY="grpo dots_rr"
set -euo pipefail
cd "$(dirname "$0")/.."
# Name, recipe of recipes/cpu, overrides.
RUNS='grpo grpo
dots dots
dots_rr dots_rr
no_references dots_rr dots.selection.references=0 dots.selection.mu=1 dots.selection.uniform_start=4
effectiveness dots_rr dots.selection.score=effectiveness
delta_25 dots_rr dots.replay.delta=0.25 dots.replay.max_age=4
balanced dots_rr dots.filter.enable=True dots.filter.balanced=True
refill dots_rr dots.refill.enable=True dots.refill.within=[0.2,0.8]
stop_early dots_rr dots.stop_early.enable=True
all all
all_cheap all dots.adarft.enable=False dots.selection.score=effectiveness dots.selection.references=0 dots.selection.mu=1 dots.selection.uniform_start=4'
LEARNING_RATE=1.2e-4
data=data/skewed model=models/tiny
source scripts/attend.sh
source scripts/ready.sh

case "${1:-}" in
    '') runs=runs/savings steps=${STEPS:-30} more="trainer.test_freq=3" ;;
    --time) runs=runs/savings_time steps=${STEPS:-12} more="trainer.test_freq=-1 trainer.val_before_train=False" ;;
    *) echo "savings.sh: unknown argument '$1'; give --time or nothing" >&2; exit 2 ;;
esac

ready_testbed data/arithmetic $model
if [ ! -f $data/train.parquet ]; then
    attend python -m data_prep.arithmetic --out data/large --train 6500
    attend python -m verl_dots.difficulty.collect data/large/train.parquet --model $model --device cpu \
        --out data/large/labels.parquet data.max_prompt_length=96 data.max_response_length=48
    mkdir -p $data
    cp data/large/val.parquet $data/
    attend python -m data_prep.pool data/large/train.parquet --labels data/large/labels.parquet --out $data/train.parquet
fi

number=0 all=$(($(wc -w <<< "${SEEDS:-1 2 3}") * $(if [ -n "${ONLY:-}" ]; then wc -w <<< "$ONLY"; else wc -l <<< "$RUNS"; fi)))
for seed in ${SEEDS:-1 2 3}; do
    while read -r name recipe overrides; do
        case " ${ONLY:-$name} " in *" $name "*) ;; *) continue ;; esac
        number=$((number + 1)) run=$runs/$name-seed$seed
        if grep -q '"finished": "' "$run/run.json" 2>/dev/null; then
            echo "$number of $all: $run is complete."
            continue
        fi
        echo "$number of $all: $run"
        # shellcheck disable=SC2086 - overrides are words
        DATA=$data MODEL=$model SEED=$seed RUN=$run STEPS=$steps attend bash "recipes/cpu/$recipe.sh" \
            trainer.experiment_name="$name" actor_rollout_ref.actor.optim.lr=$LEARNING_RATE trainer.save_freq=-1 \
            $more $overrides < /dev/null
    done <<< "$RUNS"
done
