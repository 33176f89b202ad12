#!/usr/bin/env bash
# The paper's difficulty predictor, predictors/dots, for the other recipes of this folder.
#   bash recipes/dots/predictor.sh [TRAIN ...] [OVERRIDE ...]      on data/TRAIN.parquet, by default deepscaler
# Success rates of seven models that are not trained here (the paper names the families, not each size), then
# attention over frozen embeddings; a batch and its references are of one of them. It has the code's two adapters and
# the text's calibration. 7 x 10,240 x 8 responses, then minutes. The same command resumes what was interrupted.
# Overrides are of the labelling. The paper: rho 0.70 to 0.78 on its runs.
#   LABELLERS  ROLLOUTS=8  DATA=data  LABELS=labels  PREDICTOR=predictors/dots  GPUS=8  DRY_RUN=
set -euo pipefail
cd "$(dirname "$0")/../.."
source scripts/attend.sh
LABELLERS=${LABELLERS:-Qwen/Qwen2.5-7B-Instruct Qwen/Qwen2.5-Math-7B-Instruct PRIME-RL/Eurus-2-7B-PRIME
    mistralai/Mathstral-7B-v0.1 deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B agentica-org/DeepScaleR-1.5B-Preview
    hkust-nlp/Qwen-2.5-7B-SimpleRL-Zoo}

run() { if [ -n "${DRY_RUN:-}" ]; then echo "$@"; else attend "$@"; fi; }

names=() overrides=() labels=()
for argument; do
    case $argument in -* | '+'* | '~'* | *=*) overrides+=("$argument") ;; *) names+=("$argument") ;; esac
done
[ ${#names[@]} -gt 0 ] || names=(deepscaler)
for train in "${names[@]}"; do
    for model in $LABELLERS; do
        file=${LABELS:-labels}/$train-$(basename "$model").parquet
        run python -m verl_dots.difficulty.collect "${DATA:-data}/$train.parquet" --model "$model" --out "$file" \
            --rollouts "${ROLLOUTS:-8}" actor_rollout_ref.rollout.name=vllm \
            actor_rollout_ref.rollout.tensor_model_parallel_size=1 trainer.n_gpus_per_node="${GPUS:-8}" \
            actor_rollout_ref.rollout.temperature=0.6 actor_rollout_ref.rollout.top_p=0.95 \
            data.max_prompt_length=1024 data.max_response_length=3072 "${overrides[@]}"
        labels+=("$file")
    done
done
run python -m verl_dots.difficulty.train "${labels[@]}" --preset paper --device cuda \
    --backbone "${BACKBONE:-Qwen/Qwen2.5-Math-1.5B-Instruct}" --out "${PREDICTOR:-predictors/dots}"
