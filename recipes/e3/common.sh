# Sourced by the recipes of this folder: E3 (arXiv 2505.18573), as all its settings share them.
#
# METHOD is one of the rows of the paper's table, each with what those before it have:
#   grpo; dapo (wider upper clip, only groups with mixed outcomes); entropy (GRPO with an entropy bonus);
#   temperature (GRPO with the controller); annealing (the target falls from 0.6 of the run on); e3 (and the budget);
# or budget (it alone), or short (e3 with the code's length penalty).
# In the paper's code the proportional part of a budget can exceed its cap, each worker follows an entropy of its own,
# and nothing bounds the temperature. Here caps hold, one controller follows the whole batch, within 0.5 to 1.5.
# DAPO's clip is that of DAPO's paper, which is our choice. The entropy bonus is E3's.
# The questions are files of the authors' repository, github.com/LiaoMengqi/E3-RL4LLMs, folder dataset; its scripts call
# train_data.parquet train_data_10k.parquet. Of its 10,240 rows (3,849 of MATH, 3,311 of Omni-MATH, 2,290 of AMC, 790
# of AIME) data_prep.e3 writes 9,812: each question once. Three epochs are then 3 x 153 batches of 64, where the paper's are 480.
# Validation is on 509 of the held-out 512, each once; recipes/README.md says how to get the table's pass@1 and pass@16.
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
STEPS=${STEPS:-459}
VALIDATION=${VALIDATION:-e3_valid}

e3() {  # e3 MODEL LEARNING_RATE METHOD [OVERRIDE ...]
    local model=$1 rate=$2 preset=grpo settings=()
    shift 2
    if word "$@"; then METHOD=$1; shift; fi
    case ${METHOD:-} in
        grpo) ;;
        dapo) settings=(algorithm.filter_groups.enable=True actor_rollout_ref.actor.clip_ratio_high=0.28) ;;
        entropy) settings=(actor_rollout_ref.actor.entropy_coeff=0.0001) ;;
        e3) preset=e3 ;;
        temperature | annealing | budget | short) preset=e3_$METHOD ;;
        *) usage "grpo dapo entropy temperature annealing budget e3 short" ;;
    esac
    train e3 "$preset" "$model" e3_train \
        data.train_batch_size=64 data.max_prompt_length=2048 data.max_response_length=6144 \
        actor_rollout_ref.actor.ppo_mini_batch_size=64 actor_rollout_ref.actor.optim.lr="$rate" \
        actor_rollout_ref.rollout.n=8 actor_rollout_ref.rollout.temperature=1.0 \
        trainer.test_freq=10 "${settings[@]}" "$@"
}
