# Sourced by common.sh: the one block in which the recipes of this folder differ from the presets of the methods.
# A setting stands with the part of a method that reads it, and with the reason for its value.

scaling() {  # scaling PRESET: SCALING becomes the overrides of this folder above that preset
    # Steps of 64 rollouts, 8 questions with 8 each, take seconds on two cores. Sums of two numbers need few tokens. The
    # tiny model learns with thirty times the papers' learning rate.
    SCALING=(
        data.train_batch_size=8 actor_rollout_ref.actor.ppo_mini_batch_size=8 actor_rollout_ref.rollout.n=8
        data.max_prompt_length=96 data.max_response_length=48 actor_rollout_ref.actor.optim.lr=3e-5
        actor_rollout_ref.rollout.temperature=1.0
        actor_rollout_ref.rollout.val_kwargs.do_sample=True
        actor_rollout_ref.rollout.val_kwargs.temperature=0.6 actor_rollout_ref.rollout.val_kwargs.top_p=0.95)
    # One form of the loss, verl's, for every method and for the baseline: what is compared is the method alone.
    SCALING+=(algorithm.norm_adv_by_std_in_grpo=True actor_rollout_ref.actor.loss_agg_mode=token-mean)

    case $1 in dots* | all)
        # As in the paper a quarter as many references as selected questions: 8 for 4 batches of 8. With so few
        # questions near the target a wider tau keeps the draw from repeating them. Rollouts are dear here, so
        # references with mixed outcomes are trained on. The predictor is learnt during the run, on embeddings of the
        # tiny model itself, all layers of it. 8 references teach it too little, so the first round is uniform; where it
        # predicts nothing the selection is uniform for a while. Of 4,096 questions the 8 that were just rolled out need
        # not be selected as well.
        SCALING+=(
            dots.selection.references=8 dots.selection.mu=4 dots.selection.tau=0.05
            dots.selection.reuse_references=True dots.selection.rho_floor=0.1 dots.selection.uniform_start=1
            dots.selection.references_are_candidates=False
            dots.difficulty.half_life=16 dots.difficulty.layers=all
            dots.difficulty.cache="${CACHE:-runs/embeddings}") ;;
    esac
    case $1 in dots_rr* | all)
        # As in the paper the buffer holds as many groups as a batch has questions. Rollouts are dear here, so the first
        # 4 steps replay what there is, and a batch has 8 different questions. The engine's log-probs are the trainer's
        # within 2e-6 here: no forward pass recomputes those of the behaviour policy.
        SCALING+=(
            dots.replay.capacity=8 dots.replay.overlap=none dots.replay.fresh_steps=0 dots.loss.behaviour=engine) ;;
    esac
    case $1 in adarft*)
        # The difficulties of the questions are their levels, 1 to 10.
        SCALING+=(
            dots.adarft.difficulty=extra_info.level dots.adarft.range=[1,10] dots.adarft.initial=1) ;;
    esac
    case $1 in
        adarft) SCALING+=(dots.adarft.eta=4.5) ;;  # half of that range, as the paper's 50 of 0 to 100
        adarft_filter) SCALING+=(dots.adarft.within=[2,9]) ;;  # without the easiest and the hardest, as the paper's
    esac
    case $1 in e3 | e3_temperature | e3_annealing | e3_short | all)
        # A step of 8 questions has an entropy of 0.03 to 0.2 nats by its questions alone. The target is the mean of 16
        # steps, where the paper's 64 questions need one, or it would be chance.
        SCALING+=(dots.temperature.warm_up=16) ;;
    esac
    case $1 in e3 | e3_budget | e3_short)
        # The ranks that the paper renews each epoch are of 256 questions, so that they are known after 32 steps; 60
        # steps see 480 of 4,096.
        SCALING+=(data.train_max_samples=256) ;;
    esac
    case $1 in e3_short)
        # Five sixths of the reward at 48 tokens; with the code's 0.001 a token it is six sevenths at 6,144.
        SCALING+=(dots.length_penalty.strength=0.1) ;;
    esac
    case $1 in dash* | all)
        # At the paper's 0.1 the same rows leave: advantages of 8 rollouts over their deviation are 0 or 0.35 and more.
        SCALING+=(dots.filter.threshold=0) ;;
    esac
    case $1 in dash_multi | dash_mini) SCALING+=(dots.preemptive.prompts=8) ;; esac  # M is a batch, as in the paper
    case $1 in dash_mini)
        # K = 4 updates of 2 questions, where the paper has 32 of 8.
        SCALING+=(
            dots.preemptive.updates=4 data.train_batch_size=2 actor_rollout_ref.actor.ppo_mini_batch_size=2) ;;
    esac
}
