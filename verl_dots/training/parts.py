"""Which models a run has beside the policy, and with which attention they are trained."""

from omegaconf import DictConfig, OmegaConf

FLASH = "flash_attention_2"


def has_critic(config: DictConfig) -> bool:
    """Whether a critic is trained, as verl decides it."""
    enabled = OmegaConf.select(config, "critic.enable")
    return config.algorithm.adv_estimator == "gae" if enabled is None else bool(enabled)


def has_reference(config: DictConfig) -> bool:
    """Whether there is a reference policy: with a KL term in the loss, or in the reward."""
    return bool(config.actor_rollout_ref.actor.use_kl_loss or config.algorithm.use_kl_in_reward)


def attention_of(config: DictConfig) -> str:
    """transformers' name of the policy's attention; verl's default where the config names none."""
    return OmegaConf.select(config, "actor_rollout_ref.model.override_config.attn_implementation") or FLASH


def tokens_of_critic(config: DictConfig) -> int:
    """Most tokens of a micro-batch of the critic's update on one device.

    verl's V1 trainer cuts it by this key alone, its update too (verl/trainer/ppo/v1/trainer_base.py, _setup).
    """
    return config.critic.ppo_infer_max_token_len_per_gpu


def tokens_of(config: DictConfig) -> int:
    """Most tokens of a micro-batch of the policy's update on one device."""
    actor = config.actor_rollout_ref.actor
    if actor.use_dynamic_bsz:
        return actor.ppo_max_token_len_per_gpu
    rows = actor.ppo_micro_batch_size_per_gpu or actor.ppo_mini_batch_size
    return rows * (config.data.max_prompt_length + config.data.max_response_length)
