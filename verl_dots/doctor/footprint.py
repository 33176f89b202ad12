"""What a composed config needs of a GPU, of the host and of the disk, by the formulas of verl_dots/sizes.py."""

from dataclasses import dataclass

from omegaconf import DictConfig

from verl_dots import sizes
from verl_dots.sizes import ModelShape
from verl_dots.training.parts import FLASH, attention_of, has_critic, has_reference, tokens_of, tokens_of_critic

CHECKPOINTS = 3  # two are kept, and the third is written


@dataclass(frozen=True)
class Footprint:
    """Bytes; of a GPU the greatest at a time.

    Attributes:
        update: of a GPU, in the update of the actor or of the critic, whichever is greater.
        rollouts: of a GPU, while the engine has its share.
        host: of a node's RAM.
        checkpoint: of the disk, once.
        sequences: responses of the greatest length that an engine's cache holds.
        longest: tokens of a sequence that the engine must have room for, or it does not start.
        whole: such sequences that its cache holds.
    """

    update: int
    rollouts: int
    host: int
    checkpoint: int
    sequences: int
    longest: int
    whole: int

    @property
    def gpu(self) -> int:
        """The greater of the two moments."""
        return max(self.update, self.rollouts)

    @property
    def disk(self) -> int:
        """Of all checkpoints that are there at once."""
        return CHECKPOINTS * self.checkpoint


def footprint_of(config: DictConfig, shape: ModelShape, gpu: int) -> Footprint:
    """What a run on GPUs of `gpu` bytes needs; without offloading, and with a critic of the actor's shape.

    Args:
        config: of a run, composed.
    """
    parts, trainer = config.actor_rollout_ref, config.trainer
    actor, rollout = parts.actor, parts.rollout
    ranks = trainer.nnodes * trainer.n_gpus_per_node
    resting = sizes.resting_state(shape.parameters, ranks) * (2 if has_critic(config) else 1)
    gradients = sizes.training_state(shape.parameters, ranks) - sizes.resting_state(shape.parameters, ranks)
    tokens = tokens_of(config)
    updating = resting + gradients + sizes.CONTEXT + sizes.ENGINE_EXTRA + sizes.gathered(shape)
    update = (
        updating + sizes.activations(shape, tokens, bool(parts.model.enable_gradient_checkpointing))
        + sizes.logits(
            shape.vocabulary, tokens,
            unit_temperature=rollout.temperature == 1 and not config.dots.temperature.enable,
            flash_attention=attention_of(config) == FLASH,
            entropy=actor.entropy_coeff != 0 or config.dots.entropy_coefficient.enable,
        )
    )  # fmt: skip
    if has_critic(config):  # of a token it has one value, and no logits
        checkpointing = bool(config.critic.model.enable_gradient_checkpointing)
        update = max(update, updating + sizes.activations(shape, tokens_of_critic(config), checkpointing))
    share, parallel = rollout.gpu_memory_utilization, rollout.tensor_model_parallel_size
    room = sizes.cache_room(shape, gpu, share, parallel)
    length = config.data.max_prompt_length + config.data.max_response_length
    # verl gives vLLM the model's own limit (vllm_async_server.py, _validate_configs).
    longest = rollout.max_model_len or (shape.positions if rollout.name == "vllm" else 0) or length
    return Footprint(
        update=update,
        rollouts=resting + sizes.CONTEXT + int(gpu * share),
        host=sizes.host_memory(shape, trainer.n_gpus_per_node, has_reference(config)),
        checkpoint=sizes.checkpoint(shape.parameters) * (2 if has_critic(config) else 1),
        sequences=sizes.cached_sequences(shape, room, length, parallel),
        longest=longest,
        whole=sizes.cached_sequences(shape, room, longest, parallel),
    )
