# Sourced by the recipes of this folder: the testbed and the tiny model, as all of them use them.
#   SEED=1  STEPS=60  RUN=runs/cpu/NAME-seedSEED  DATA=data/arithmetic  MODEL=models/tiny
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # train NAME [OVERRIDE ...]
    local name=$1; shift
    local data=${DATA:-data/arithmetic} model=${MODEL:-models/tiny} seed=${SEED:-1}
    [ -f "$data/train.parquet" ] || python -m data_prep.arithmetic --out "$data"
    [ -f "$model/config.json" ] || python scripts/make_tiny_model.py --out "$model" --data "$data"
    python -m verl_dots.main device=cpu dots.seed="$seed" \
        data.train_files="$data/train.parquet" data.val_files="$data/val.parquet" \
        data.train_batch_size=8 data.max_prompt_length=96 data.max_response_length=48 \
        actor_rollout_ref.model.path="$model" \
        actor_rollout_ref.actor.ppo_mini_batch_size=8 actor_rollout_ref.actor.optim.lr=3e-5 \
        actor_rollout_ref.rollout.n=8 actor_rollout_ref.rollout.temperature=1.0 \
        actor_rollout_ref.rollout.val_kwargs.do_sample=True \
        actor_rollout_ref.rollout.val_kwargs.temperature=0.6 actor_rollout_ref.rollout.val_kwargs.top_p=0.95 \
        trainer.total_training_steps="${STEPS:-60}" trainer.total_epochs=1000 \
        trainer.test_freq=5 trainer.save_freq=20 trainer.max_actor_ckpt_to_keep=1 \
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
