# Sourced by the recipes of the papers: what all of them share. recipes/README.md says what the variables mean.
#   METHOD  MODEL  TRAIN  VALIDATION  DATA=data  RUN=runs/PAPER/SETTING/METHOD-seedSEED  SEED=1  STEPS
#   NNODES=1  GPUS=8  TP=1  TOKENS=16384  DRY_RUN=
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/attend.sh"
SETTING=$(basename "$0" .sh)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

train() {  # train PAPER MODEL TRAIN [OVERRIDE ...]: by METHOD
    local paper=$1 model=${MODEL:-$2} train=${TRAIN:-$3} name=$METHOD${VARIANT:+-$VARIANT}
    local data=${DATA:-data} seed=${SEED:-1}
    shift 3
    local validation=${VALIDATION// /.parquet,$data/}
    # Micro-batches are cut by tokens, so their size changes the speed and the memory, never the result.
    # Two checkpoints are kept: with one, verl deletes it as soon as the next actor is written, before the critic, the
    # data's state and the note of the newest step are, and a kill in between would leave none to resume from.
    start python -m verl_dots.main dots.seed="$seed" \
        data.train_files="$data/$train.parquet" data.val_files="[$data/$validation.parquet]" \
        data.filter_overlong_prompts=True \
        actor_rollout_ref.model.path="$model" \
        actor_rollout_ref.actor.use_dynamic_bsz=True \
        actor_rollout_ref.actor.ppo_max_token_len_per_gpu="${TOKENS:-16384}" \
        actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.tensor_model_parallel_size="${TP:-1}" \
        trainer.nnodes="${NNODES:-1}" trainer.n_gpus_per_node="${GPUS:-8}" \
        trainer.total_training_steps="$STEPS" trainer.total_epochs=1000 \
        trainer.save_freq=20 trainer.max_actor_ckpt_to_keep=2 trainer.max_critic_ckpt_to_keep=2 \
        trainer.project_name="verl_dots_${paper}_$SETTING" trainer.experiment_name="$name" \
        trainer.default_local_dir="${RUN:-runs/$paper/$SETTING/$name-seed$seed}" "$@"
}

start() {  # start COMMAND ...: it takes the place of this script, and its signals; or, with DRY_RUN, print it
    if [ -n "${DRY_RUN:-}" ]; then
        printf '%q ' "$@"
        echo
    else
        exec "$@"
    fi
}

word() {  # word [ARGUMENT ...]: whether the first is no override
    case ${1:-=} in -* | '~'* | *=*) return 1 ;; esac
}

usage() {  # usage METHODS: end, with what can be given
    echo "$SETTING.sh: METHOD is '${METHOD:-}'; give one of $1 as the first argument, before KEY=VALUE overrides" >&2
    exit 2
}
