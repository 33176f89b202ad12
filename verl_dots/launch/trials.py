"""What verl makes of settings in a worker, made here first of a few numbers: an optimizer, advantages, corrections.

verl's own functions decide, so that what they refuse late is refused before Ray starts.
"""

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from verl_dots.methods.refusals import LOG_PROBS, require_fixed
from verl_dots.settings import ConfigError, require
from verl_dots.training.parts import has_critic

CORRECTION = "algorithm.rollout_correction"


def check_by_trial(config: DictConfig) -> None:
    """Refuse settings of which verl could make no optimizer, no advantages or no weights.

    Raises:
        ConfigError: the key, and what verl says of it.
    """
    _try_correction(config)
    with torch.random.fork_rng(devices=[]):  # an estimator may draw numbers, and the run has its own
        _try_advantages(config)
    for group in ("actor_rollout_ref.actor.optim", *(["critic.optim"] if has_critic(config) else [])):
        if OmegaConf.select(config, f"{group}.optimizer_impl") is not None:
            _try_optimizer(config, group)


def _told(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _try_optimizer(config: DictConfig, group: str) -> None:
    """Make the optimizer for one number; most settings of one are its own, and it checks them."""
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.config.optimizer import build_optimizer

    settings = OmegaConf.select(config, group)
    own = settings.get("override_optimizer_config")
    name = "override_optimizer_config" if own else "optimizer"
    try:
        build_optimizer([torch.nn.Parameter(torch.zeros(1))], omega_conf_to_dataclass(settings))
    except Exception as error:  # noqa: BLE001 - whatever an optimizer of any package raises
        words = f"{group}.{name}={settings[name]}: {settings.optimizer} cannot be made: {_told(error)}; choose another"
        raise ConfigError(words, key=f"{group}.{name}", reason="range" if own else "choice") from error


def _try_advantages(config: DictConfig) -> None:
    """Compute advantages of one question's responses, of the fields that verl's trainer gives an estimator."""
    from verl import DataProto
    from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

    rows, algorithm = config.actor_rollout_ref.rollout.n, config.algorithm
    ones = torch.ones(rows, 2)
    scores = torch.tensor([[0.0, row % 2] for row in range(rows)])
    names = ["old_log_probs", "rollout_log_probs", "ref_log_prob", *(["values"] if has_critic(config) else [])]
    tensors = {"response_mask": ones.long(), "rm_scores": scores, "token_level_scores": scores}
    tensors |= {"token_level_rewards": scores} | {name: -ones for name in names}
    data = DataProto.from_dict(tensors, non_tensors={"uid": ["question"] * rows})
    try:
        compute_advantage_for_multi_trajectories(
            data,
            batch_keys=[f"question_{row}_0" for row in range(rows)],
            adv_estimator=algorithm.adv_estimator,
            gamma=algorithm.gamma,
            lam=algorithm.lam,
            num_repeat=rows,
            norm_adv_by_std_in_grpo=algorithm.get("norm_adv_by_std_in_grpo", True),
            config=algorithm,
        )
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        key = "algorithm.adv_estimator"
        words = f"{key}={algorithm.adv_estimator}: verl's V1 trainer cannot compute it: {_told(error)}; choose another"
        raise ConfigError(words, key=key, reason="choice") from error


def _try_correction(config: DictConfig) -> None:
    """Correct two tokens that engine and trainer find equally likely: their weights are above 0, and none is left out.

    Without the engine's log-probs verl would correct nothing, or look for them in vain.
    """
    from verl.trainer.ppo.rollout_corr_helper import compute_rollout_correction_and_rejection_mask

    settings = OmegaConf.to_container(OmegaConf.select(config, CORRECTION) or OmegaConf.create({}), resolve=True)
    log_probs, mask = torch.full((1, 2), -1.0), torch.ones(1, 2)
    for name in ("bypass_mode", "rollout_is", "rollout_rs"):
        if settings.get(name):
            require_fixed(config, f"{CORRECTION}.{name}={settings[name]}", LOG_PROBS)
    for name in ("rollout_is", "rollout_rs"):
        if settings.get(name) is None:
            continue
        threshold = settings.get(f"{name}_threshold")
        key = f"{CORRECTION}.{name}_threshold"
        require(key, "null", threshold is not None, f"{name}={settings[name]} needs it; set it to a number", "missing")
        given: dict[str, Any] = {name: settings[name], f"{name}_threshold": threshold}
        try:
            weights, kept, _ = compute_rollout_correction_and_rejection_mask(log_probs, log_probs, mask, **given)
        except (TypeError, ValueError, ArithmeticError) as error:
            text = f"{key}={threshold} with {name}={settings[name]}: {_told(error)}"
            raise ConfigError(text, key=key, reason="range") from error
        weight_T = kept if weights is None else weights.batch["rollout_is_weights"]
        # torch 2.11 clamps at NaN as at no threshold, torch 2.13 gives NaN.
        sound = threshold == threshold and bool((torch.isfinite(weight_T) & (weight_T > 0)).all())
        rule = (
            f"with {name}={settings[name]} it leaves out tokens that engine and trainer find equally likely; widen it"
        )
        require(key, threshold, sound, rule, "range")
