# Sourced by the recipes of this folder: the testbed and the tiny model, as all of them use them.
#   SEED=1  STEPS=60  RUN=runs/cpu/NAME-seedSEED  DATA=data/arithmetic  MODEL=models/tiny  DRY_RUN=
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"  # of which `train` is replaced

train() {  # train NAME [OVERRIDE ...]
    local name=$1${VARIANT:+-$VARIANT}; shift
    local data=${DATA:-data/arithmetic} model=${MODEL:-models/tiny} seed=${SEED:-1}
    if [ -z "${DRY_RUN:-}" ]; then
        [ -f "$data/train.parquet" ] || attend python -m data_prep.arithmetic --out "$data"
        [ -f "$model/config.json" ] || attend python scripts/make_tiny_model.py --out "$model" --data "$data"
    fi
    start python -m verl_dots.main device=cpu dots.seed="$seed" \
        data.train_files="$data/train.parquet" data.val_files="$data/val.parquet" \
        data.train_batch_size=8 data.max_prompt_length=96 data.max_response_length=48 \
        actor_rollout_ref.model.path="$model" \
        actor_rollout_ref.actor.ppo_mini_batch_size=8 actor_rollout_ref.actor.optim.lr=3e-5 \
        actor_rollout_ref.rollout.n=8 actor_rollout_ref.rollout.temperature=1.0 \
        actor_rollout_ref.rollout.val_kwargs.do_sample=True \
        actor_rollout_ref.rollout.val_kwargs.temperature=0.6 actor_rollout_ref.rollout.val_kwargs.top_p=0.95 \
        trainer.total_training_steps="${STEPS:-60}" trainer.total_epochs=1000 \
        trainer.test_freq=5 trainer.save_freq=20 \
        trainer.max_actor_ckpt_to_keep=2 trainer.max_critic_ckpt_to_keep=2 \
        trainer.project_name=verl_dots_cpu trainer.experiment_name="$name" \
        trainer.default_local_dir="${RUN:-runs/cpu/$name-seed$seed}" "$@"
}

train_dots() {  # train_dots NAME [OVERRIDE ...]
    # As in the paper a quarter as many references as selected questions, here 8 for 4 batches of 8; tau spreads the
    # choice over more than the very nearest; embeddings are the frozen tiny model's own.
    local name=$1; shift
    train "$name" \
        dots.selection.enable=True dots.selection.references=8 dots.selection.mu=4 dots.selection.tau=0.05 \
        dots.difficulty.predictor=online dots.difficulty.half_life=16 dots.difficulty.layers=all \
        dots.difficulty.cache="${CACHE:-runs/embeddings}" "$@"
}

train_singly() {  # train_singly NAME [OVERRIDE ...]: for algorithms that compare no rollouts of one question
    # One rollout a question, as in AdaRFT's paper, of as many questions as grpo.sh has rollouts.
    local name=$1; shift
    train "$name" \
        data.train_batch_size=64 actor_rollout_ref.actor.ppo_mini_batch_size=64 actor_rollout_ref.rollout.n=1 "$@"
}

train_ppo() {  # train_ppo NAME [OVERRIDE ...]
    # As in AdaRFT's paper the critic starts from the policy and learns ten times as fast.
    local name=$1; shift
    train_singly "$name" \
        algorithm.adv_estimator=gae critic.model.path="${MODEL:-models/tiny}" critic.optim.lr=3e-4 "$@"
}

ablate() {  # ablate NAME KEY DEFAULT [VALUE] [OVERRIDE ...]: dots_rr.sh with one value changed
    local name=$1 key=$2 value=$3
    shift 3
    if word "$@"; then value=$1; shift; fi
    VARIANT=$name$value exec bash recipes/cpu/dots_rr.sh "$key=$value" "$@"
}
