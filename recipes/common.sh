# Sourced by the recipes of the papers: what all of them share. recipes/README.md says what the variables mean.
#   METHOD  MODEL  TRAIN  VALIDATION  DATA=data  RUN=runs/PAPER/SETTING/METHOD-seedSEED  SEED=1  STEPS
#   NNODES=1  GPUS=8  TP=1  TOKENS=16384  FLASH_ATTN=  DRY_RUN=
# A method's own settings are in its preset, verl_dots/conf/preset; where the papers have the numbers is in
# paper_settings.yaml.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/attend.sh"
SETTING=$(basename "$0" .sh)
cd "$(dirname "${BASH_SOURCE[0]}")/.."

train() {  # train PAPER PRESET MODEL TRAIN [OVERRIDE ...]: by METHOD
    local paper=$1 preset=$2 model=${MODEL:-$3} train=${TRAIN:-$4} name=$METHOD${VARIANT:+-$VARIANT}
    local data=${DATA:-data} seed=${SEED:-1}
    shift 4
    case ${FLASH_ATTN:-} in
        '') ;;
        no) set -- ++actor_rollout_ref.model.override_config.attn_implementation=sdpa "$@" ;;
        *) echo "$SETTING.sh: FLASH_ATTN is '$FLASH_ATTN'; give no, or leave it out" >&2; exit 2 ;;
    esac
    local validation=${VALIDATION// /.parquet,$data/}
    # Micro-batches are cut by tokens, so their size changes the speed and the memory, never the result.
    # Two checkpoints are kept: with one, verl deletes it as soon as the next actor is written, before the critic, the
    # data's state and the note of the newest step are, and a kill in between would leave none to resume from.
    start python -m verl_dots.main dots.preset="$preset" dots.seed="$seed" \
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

ablate() {  # ablate RECIPE NAME [VALUE] [OVERRIDE ...]: exec RECIPE METHOD KEY=VALUE [OVERRIDE ...], all of it by NAME
    # ABLATIONS holds lines of NAME METHOD KEY VALUE. The run is called METHOD-NAMEVALUE; of another preset METHOD-NAME.
    local recipe=$1 asked=${2:-} name method key value
    shift $(($# > 1 ? 2 : 1))
    while read -r name method key value && [ "$name" != "$asked" ]; do :; done <<< "$ABLATIONS"
    if [ -z "$name" ]; then
        echo "$SETTING.sh: NAME is '$asked'; give one of these as the first argument, then another VALUE if you like, then" \
            "KEY=VALUE overrides:" >&2
        while read -r name method key value; do printf '  %-7s %s=%s with %s\n' "$name" "$key" "$value" "$method"; done \
            <<< "$ABLATIONS" >&2
        exit 2
    fi
    if [ "$key" = dots.preset ]; then
        ! word "$@" || { echo "$SETTING.sh: $name takes no value; '$1' was given" >&2; exit 2; }
        export VARIANT=$name
    else
        if word "$@"; then value=$1; shift; fi
        export VARIANT=$name$value
    fi
    "$recipe" "$method" "$key=$value" "$@"
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
