# Sourced by the recipes of this folder: DASH (arXiv 2505.17218), as all its settings share them.
#
# METHOD                                                                                        in the paper
#   grpo       samples what it trains on at once: engines of 8 responses; with KL               GRPO, table 3
#   no_filter  samples a whole batch of M = 256 questions at once; with KL                      table 3
#   dash_kl    and leaves out rows of small advantage                                           DASH, tables 1 and 3
#   dash       and leaves out KL: the paper's best                                              table 1
#   multi      K = 3 updates on the same M = 256                                                Multi
#   mini       K = 32 updates of B = 8 questions each on M = 256                                Mini
# The paper gives Mini as M = 8 and K = 32: that the 8 are the questions of an update and M stays 256 is our reading.
# verl samples a batch at once by itself: `grpo` takes that away, and trains as `no_filter` does, more slowly. The
# coefficient of KL is the default of the trainer that the paper's code extends. That code filters after the forward
# pass and divides by the rows that are left, so its gradients grow with the share that leaves; here they do not.
# Further departures, each told in verl_dots/methods/dash/README.md:
#   schedule       the code's learning rate falls linearly to 0, without a warm-up; verl's is constant
#   normalisation  advantages over the standard deviation, as in the code: with 4 responses and rewards of 0 and 1 the
#                  threshold of 0.1 takes out groups of equal rewards alone
#   loss           its script divides by rows times the longest response; verl by the tokens of a mini-batch
#   top-k          the code samples among 50 tokens, the paper names none; rollout.top_k=50 is that
#   KL             the code's estimate is verl's low_var_kl; its filter works with KL only, here without as well
#   update         its script makes an update of 64 questions with 4 responses; the paper's M is 256
#   prompt         the bare problem; here verl's chat template
# Three epochs of MATH's 7,500 questions are 87 batches of 256; for other data set STEPS.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
VALIDATION=${VALIDATION:-math500 gsm8k_test}

dash() {  # dash MODEL METHOD [OVERRIDE ...]
    local model=$1 preset=dash steps=87 test_freq=10 save_freq=20 settings=()
    local with_kl=(actor_rollout_ref.actor.use_kl_loss=True actor_rollout_ref.actor.kl_loss_coef=0.04)
    local batch=(data.train_batch_size=256 actor_rollout_ref.actor.ppo_mini_batch_size=256)
    shift
    if word "$@"; then METHOD=$1; shift; fi
    case ${METHOD:-} in
        grpo) preset=grpo settings=("${with_kl[@]}" actor_rollout_ref.rollout.max_num_seqs=8) ;;
        no_filter) preset=grpo settings=("${with_kl[@]}") ;;
        dash_kl) settings=("${with_kl[@]}") ;;
        dash) ;;
        multi) preset=dash_multi steps=261 test_freq=30 save_freq=60 ;;
        mini) preset=dash_mini batch=() steps=2784 test_freq=320 save_freq=640 ;;
        *) usage "grpo no_filter dash_kl dash multi mini" ;;
    esac
    STEPS=${STEPS:-$steps} GPUS=${GPUS:-4} train dash "$preset" "$model" math_all \
        "${batch[@]}" data.max_prompt_length=256 data.max_response_length=2048 \
        actor_rollout_ref.actor.optim.lr=3e-6 actor_rollout_ref.actor.optim.weight_decay=0 \
        actor_rollout_ref.rollout.n=4 actor_rollout_ref.rollout.temperature=0.9 \
        trainer.test_freq=$test_freq trainer.save_freq=$save_freq "${settings[@]}" "$@"
}
