"""A run on GPUs without flash-attn: refused where verl needs it, and told of what it costs elsewhere."""

import logging
import os
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig

from verl_dots.files import read_json
from verl_dots.settings import ConfigError
from verl_dots.sizes import GB, without_flash_attention
from verl_dots.training.parts import attention_of, has_critic, tokens_of

logger = logging.getLogger(__name__)

KEY = "actor_rollout_ref.model.override_config.attn_implementation"
SCRIPT = "scripts/flash_attn.sh"  # of a checkout: verl's wheel, or a build that the memory has room for
# Both as that script has them.
VERSION, WHEELHOUSE = "2.8.3", "https://verl-project.github.io/verl-wheelhouse/cu130/torch2.11/simple/"


def install_command(root: Path) -> str:
    """How flash-attn is installed without an unlimited build.

    Args:
        root: the folder that holds the package: a checkout, or site-packages.
    """
    if (root / SCRIPT).is_file():
        return f"bash {SCRIPT}"
    return f"pip install --no-deps --only-binary=:all: --index-url {WHEELHOUSE} flash-attn=={VERSION}"


INSTALL = install_command(Path(__file__).parents[2])


def has_flash_attention() -> bool:
    """Whether flash-attn is installed; whether it works is another question, which the doctor asks."""
    return find_spec("flash_attn") is not None


def needs_flash_attention(config: DictConfig) -> bool:
    """Whether a run on GPUs cannot do without flash-attn."""
    return attention_of(config).startswith("flash_attention") or has_critic(config)


def check_attention(config: DictConfig) -> None:
    """Refuse a run on GPUs that would miss flash-attn in a worker, and warn of one that does without.

    Raises:
        ConfigError: the policy's attention is flash-attn's, or there is a critic, for which verl takes no other.
    """
    if has_flash_attention():
        return
    if attention_of(config).startswith("flash_attention"):
        raise ConfigError(
            f"{KEY}={attention_of(config)} (verl's default), and flash-attn is not installed; {INSTALL}, or set "
            f"+{KEY}=sdpa, which is slower and needs more memory",
            key=KEY,
            reason="machine",
        )
    if has_critic(config):
        raise ConfigError(
            f"algorithm.adv_estimator={config.algorithm.adv_estimator} trains a critic, which verl loads with "
            f"flash-attn alone: without it a worker ends with 'please install trl', which would not "
            f"help. {INSTALL}, or choose an estimator without a critic, such as grpo",
            key="algorithm.adv_estimator",
            reason="machine",
        )
    logger.warning("%s", cost_without(config))


def cost_without(config: DictConfig) -> str:
    """What training without flash-attn costs, in words."""
    from transformers.utils import cached_file

    tokens = tokens_of(config)
    file = Path(cached_file(os.path.expanduser(config.actor_rollout_ref.model.path), "config.json"))
    words = read_json(file, advice="give a whole model")["vocab_size"]
    more = without_flash_attention(words, tokens) / GB
    return (
        f"flash-attn is not installed: log-probs are computed token by token in Python, and a micro-batch of "
        f"{tokens:,} tokens takes {more:.1f} GB more of a GPU; {INSTALL}, or lower "
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu (TOKENS of the recipes)"
    )
