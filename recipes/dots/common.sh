# Sourced by the recipes of this folder: DOTS and rollout replay (arXiv 2506.05316), as all its settings share them.
#   PREDICTOR=predictors/dots  the paper's, made by predictor.sh; `online` for this project's, which needs none
#
# METHOD is a preset: dots, dots_rr, dots_rr_code (dots_rr as the paper's code trains it) or grpo. The loss is the
# paper's for all methods: advantage against the group's mean alone, mean over each response, no KL. One thing is verl's,
# for all methods: its dual clip, which leaves no gradient to a token of negative advantage whose ratio is above
# actor_rollout_ref.actor.clip_ratio_c=3. The paper's loss has the smaller of the two terms alone, which
# clip_ratio_c=1e9 makes of it.
# Rollouts are sampled within top_p=0.95, as in the paper. An engine's log-probs are then of those tokens alone and not
# the policy's, so the trainer recomputes the behaviour's (dots.loss.behaviour=recomputed, the default and the paper's
# way). With actor_rollout_ref.rollout.top_p=1 dots.loss.behaviour=engine that forward pass is spared.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
STEPS=${STEPS:-60}
VALIDATION=${VALIDATION:-gsm8k_test math500 minerva olympiadbench}

check_predictor() {  # before anything starts; a command that is only told needs no files
    [ -d "$PREDICTOR" ] || [ -n "${DRY_RUN:-}${NOTHING_STARTS:-}" ] || {
        echo "$SETTING.sh: PREDICTOR=$PREDICTOR is no folder here; set PREDICTOR=online for this project's predictor," \
            "which needs no file, or make the paper's by recipes/dots/predictor.sh and name its folder" >&2
        exit 2
    }
}

dots() {  # dots MODEL TRAIN RESPONSE_LENGTH METHOD [OVERRIDE ...]
    local model=$1 train=$2 response=$3 settings=()
    shift 3
    if word "$@"; then METHOD=$1; shift; fi
    case ${METHOD:-} in
        grpo) settings=(algorithm.norm_adv_by_std_in_grpo=False
            actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean) ;;
        dots | dots_rr | dots_rr_code)
            if [ "${PREDICTOR:=predictors/dots}" != online ]; then
                check_predictor
                settings=(dots.difficulty.predictor=attention dots.difficulty.checkpoint="$PREDICTOR"
                    dots.difficulty.backbone="${BACKBONE:-Qwen/Qwen2.5-Math-1.5B-Instruct}")
            fi ;;
        *) usage "grpo dots dots_rr dots_rr_code" ;;
    esac
    # The savings that the paper reports are multiples of 2 steps in 60.
    train dots "$METHOD" "$model" "$train" \
        data.train_batch_size=512 data.max_prompt_length=1024 data.max_response_length="$response" \
        actor_rollout_ref.actor.ppo_mini_batch_size=64 \
        actor_rollout_ref.actor.optim.lr=1e-6 actor_rollout_ref.actor.optim.weight_decay=0 \
        actor_rollout_ref.rollout.n=8 actor_rollout_ref.rollout.temperature=0.6 actor_rollout_ref.rollout.top_p=0.95 \
        actor_rollout_ref.rollout.val_kwargs.do_sample=True \
        actor_rollout_ref.rollout.val_kwargs.temperature=0.6 actor_rollout_ref.rollout.val_kwargs.top_p=0.95 \
        trainer.test_freq=2 "${settings[@]}" "$@"
}
