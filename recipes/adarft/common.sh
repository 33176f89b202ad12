# Sourced by the recipes of this folder: AdaRFT (arXiv 2504.05520), as all its settings share them.
#
# METHOD is one of the paper's four, trained with PPO: ppo, filter (questions that the labelling model solves in 10 to
# 90 % of its tries), schedule (a fixed linear curriculum) and adarft. With _grpo or _reinforce_plus_plus after it (or
# that alone, for ppo) it trains with that algorithm: grpo, adarft_grpo, adarft_reinforce_plus_plus, ...
# In the paper's code the data loader draws the batches of an epoch before it has seen their rewards; here each batch
# follows the reward of the last, as the paper says. The code also sets kl_coef=0.001, which counts with
# algorithm.use_kl_in_reward=True only. Its verl adds an entropy bonus of 0.001 by default, of which the paper says
# nothing; verl's default is now 0, and so is ours: actor_rollout_ref.actor.entropy_coeff=0.001 has it.
# The training sets are parquet files in verl's schema that the authors made of DeepScaleR, with
# extra_info.difficulty = 100 (1 - s / 128) for s right answers of Qwen2.5-Math-7B in 128. They are in
# github.com/limenlp/verl, verl/data/deepscaler_{uniform,skew_difficult,skew_easy}_train.parquet; all difficulties are
# the hub's data set lime-nlp/DeepScaleR_Difficulty. In these files questions repeat, and the paper trained on the
# repeats. data_prep.deepscaler writes each question once, and none that has different answers: of the uniform set 7,577
# of 10,000 rows, of the difficult one 9,805 of 9,995, of the easy one 9,841 of 10,000. The uniform one stays uniform.
# The paper counts the steps that others need to be as good as AdaRFT is at step 60 (1.5B) or 40 (7B).
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"
STEPS=${STEPS:-100}
VALIDATION=${VALIDATION:-gsm8k_test math500 minerva olympiadbench amc23 aime24}

adarft() {  # adarft MODEL TRAIN RESPONSE_LENGTH METHOD [OVERRIDE ...]
    local model=$1 train=$2 response=$3 n=1 algorithm=() preset=grpo
    shift 3
    if word "$@"; then METHOD=$1; shift; fi
    case ${METHOD:-} in
        grpo | *_grpo) n=8 algorithm=(algorithm.adv_estimator=grpo) ;;
        reinforce_plus_plus | *_reinforce_plus_plus) algorithm=(algorithm.adv_estimator=reinforce_plus_plus) ;;
        *) algorithm=(algorithm.adv_estimator=gae critic.model.path="${MODEL:-$model}"
            critic.optim.lr=1e-5 critic.ppo_max_token_len_per_gpu="${TOKENS:-16384}") ;;
    esac
    case ${METHOD:-} in
        ppo | grpo | reinforce_plus_plus) ;;
        adarft | adarft_grpo | adarft_reinforce_plus_plus) preset=adarft ;;
        schedule | schedule_grpo | schedule_reinforce_plus_plus) preset=adarft_schedule ;;
        filter | filter_grpo | filter_reinforce_plus_plus) preset=adarft_filter ;;
        *) usage "ppo filter schedule adarft, or grpo, adarft_grpo, ... _reinforce_plus_plus" ;;
    esac
    train adarft "$preset" "$model" "$train" \
        data.train_batch_size=1024 data.max_prompt_length=1024 data.max_response_length="$response" \
        actor_rollout_ref.actor.ppo_mini_batch_size=1024 actor_rollout_ref.actor.optim.lr=1e-6 \
        actor_rollout_ref.rollout.n=$n actor_rollout_ref.rollout.temperature=1.0 \
        trainer.test_freq=5 "${algorithm[@]}" "$@"
}
