"""Objectives that verl's V1 trainer would make another one of, or none, than the settings say."""

from omegaconf import DictConfig

from verl_dots.methods.refusals import LOSS_MODE, excluded
from verl_dots.methods.replay.settings import GRPO_RR
from verl_dots.settings import ConfigError, require
from verl_dots.training.parts import has_critic

ACTOR = "actor_rollout_ref.actor"
CORRECTION = "algorithm.rollout_correction"
ESTIMATOR = "algorithm.adv_estimator"
GROUPS_OF_SEVERAL = ("grpo_passk", "rloo", "rloo_vectorized", GRPO_RR)

# Losses of verl that its V1 trainer does not compute as they are meant, and why.
NOT_OF_V1 = {
    "bypass_mode": f"it would get none of {CORRECTION}; set it to vanilla, and {CORRECTION}.bypass_mode=True",
    "geo_mean": "means of micro-batches are added up, so the gradient grows with their number; set it to gspo",
}


def check_objective(config: DictConfig) -> None:
    """Refuse settings of advantages and losses that would have no effect, or another one.

    Raises:
        ConfigError: the key, and what to set.
    """
    _check_estimator(config)
    _check_correction(config)
    _check_loss(config)


def _check_estimator(config: DictConfig) -> None:
    rollouts, algorithm = config.actor_rollout_ref.rollout.n, config.algorithm
    estimator = algorithm.adv_estimator
    if rollouts == 1 and estimator in GROUPS_OF_SEVERAL:
        why = "it compares the responses to a question; set it to 2 or more"
        raise excluded("actor_rollout_ref.rollout.n", 1, f"{ESTIMATOR}={estimator}", why)
    if estimator == "grpo_vectorized" and not algorithm.get("norm_adv_by_std_in_grpo", True):
        why = f"verl divides by the standard deviation all the same; set {ESTIMATOR}=grpo"
        raise excluded("algorithm.norm_adv_by_std_in_grpo", False, f"{ESTIMATOR}={estimator}", why)
    rule = "verl's V1 trainer draws rows anew and writes their advantages to those that were there; set it to False"
    require("algorithm.use_pf_ppo", algorithm.use_pf_ppo, not algorithm.use_pf_ppo, rule, "choice")


def _check_correction(config: DictConfig) -> None:
    """With bypass_mode the ratio of the loss is against the engine's policy, and V1's trainer corrects nothing else."""
    settings = config.algorithm.get("rollout_correction") or {}
    if not settings.get("bypass_mode"):
        return
    for name in ("rollout_is", "rollout_rs"):
        if settings.get(name) is not None:
            why = "verl's V1 trainer then makes no weights and leaves nothing out; set one of them off"
            raise excluded(f"{CORRECTION}.{name}", settings[name], f"{CORRECTION}.bypass_mode=True", why)
    if settings.get("loss_type") not in (None, "ppo_clip"):
        why = "verl's V1 trainer reads it no more; set it to ppo_clip"
        raise excluded(f"{CORRECTION}.loss_type", settings.loss_type, f"{CORRECTION}.bypass_mode=True", why)


def _check_loss(config: DictConfig) -> None:
    loss = config.actor_rollout_ref.actor.policy_loss
    group, mode = LOSS_MODE.removesuffix(".loss_mode"), loss.loss_mode
    if mode in NOT_OF_V1:
        raise excluded(LOSS_MODE, mode, "verl's V1 trainer", NOT_OF_V1[mode])
    given = mode != "dro" or loss.get("dro_beta") is not None
    require(f"{group}.dro_beta", "null", given, "loss_mode=dro needs it; set it above 0", "missing")
    low, high = loss.clip_cov_lb, loss.clip_cov_ub
    require(f"{group}.clip_cov_lb", low, low <= high, f"must be at most clip_cov_ub={high}", "size")
    for part, settings in ((ACTOR, config.actor_rollout_ref.actor), ("critic", config.critic)):
        if part == "critic" and not has_critic(config):
            continue
        if settings.loss_agg_mode == "seq-mean-token-sum-norm" and settings.get("loss_scale_factor") is None:
            raise ConfigError(
                f"{part}.loss_scale_factor=null with {part}.loss_agg_mode=seq-mean-token-sum-norm: verl would divide "
                "by the longest response of each micro-batch, and a row's weight would follow from its neighbours; "
                f"set it, e.g. to data.max_response_length={config.data.max_response_length}",
                key=f"{part}.loss_scale_factor",
                reason="missing",
            )
