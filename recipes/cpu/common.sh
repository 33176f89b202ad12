# Sourced by the recipes of this folder: arithmetic and the tiny model, unless DATA and MODEL name others.
#   SEED=1  STEPS=60  RUN=runs/cpu/NAME-seedSEED  DATA=data/arithmetic  MODEL=models/tiny  CACHE=runs/embeddings  DRY_RUN=
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"  # of which `train` is replaced
source recipes/cpu/scaling.sh
source scripts/ready.sh

train() {  # train NAME PRESET [OVERRIDE ...]: a preset, scaled to two cores; an override may name another preset
    local name=$1${VARIANT:+-$VARIANT} preset=$2 argument
    local data=${DATA:-data/arithmetic} model=${MODEL:-models/tiny} seed=${SEED:-1}
    shift 2
    for argument; do case $argument in dots.preset=*) preset=${argument#*=} ;; esac; done
    scaling "$preset"
    if [ -z "${DRY_RUN:-}" ]; then
        ready_testbed "$data" "$model"
    fi
    start python -m verl_dots.main device=cpu dots.preset="$preset" dots.seed="$seed" "${SCALING[@]}" \
        data.train_files="$data/train.parquet" data.val_files="$data/val.parquet" \
        actor_rollout_ref.model.path="$model" \
        trainer.total_training_steps="${STEPS:-60}" trainer.total_epochs=1000 \
        trainer.test_freq=5 trainer.save_freq=20 \
        trainer.max_actor_ckpt_to_keep=2 trainer.max_critic_ckpt_to_keep=2 \
        trainer.project_name=verl_dots_cpu trainer.experiment_name="$name" \
        trainer.default_local_dir="${RUN:-runs/cpu/$name-seed$seed}" "$@"
}

train_singly() {  # train_singly NAME PRESET [OVERRIDE ...]: for algorithms that compare no rollouts of one question
    # One rollout a question, as in AdaRFT's paper, of as many questions as grpo.sh has rollouts.
    local name=$1 preset=$2; shift 2
    train "$name" "$preset" \
        data.train_batch_size=64 actor_rollout_ref.actor.ppo_mini_batch_size=64 actor_rollout_ref.rollout.n=1 "$@"
}

train_ppo() {  # train_ppo NAME PRESET [OVERRIDE ...]
    # As in AdaRFT's paper the critic starts from the policy and learns ten times as fast.
    local name=$1 preset=$2; shift 2
    train_singly "$name" "$preset" \
        algorithm.adv_estimator=gae critic.model.path="${MODEL:-models/tiny}" critic.optim.lr=3e-4 "$@"
}
