"""Bytes that training a transformer takes on a GPU, in the host's memory and on the disk: formulas, and no machine.

They are of verl 0.9.1's FSDP trainer beside an engine on the same GPUs, with weights in fp32 and computing in bf16.
Each formula names its source. What they leave out (fragments, kernels' workspaces) is `CONTEXT` and `ENGINE_EXTRA`.
All numbers are bytes unless a name says otherwise; a GB is 10^9 bytes.
"""

from dataclasses import dataclass

GB = 10**9
FP32, BF16 = 4, 2
MOMENTS = 2  # of Adam, a parameter
# CUDA's context and NCCL's buffers of a process, as they are on H100s; ours.
CONTEXT = 2 * GB
# vLLM's graphs and workspace beside weights and cache, which a sleeping engine keeps; ours.
ENGINE_EXTRA = 2 * GB
# Memory of a Python process that has imported torch, transformers and an engine; ours.
PROCESS = 4 * GB
PROCESSES_A_GPU = 3  # a worker of the trainer, a server, and the engine's own process


def size_text(count: float) -> str:
    """Bytes in the greatest unit that leaves a 1 or more before the point: 8.1 MB; no unit below a MB."""
    unit, name = next((pair for pair in ((GB, "GB"), (10**6, "MB")) if count >= pair[0]), (10**6, "MB"))
    return f"{count / unit:.1f} {name}"


@dataclass(frozen=True)
class ModelShape:
    """What memory depends on.

    Attributes:
        parameters: all, tied ones once.
        layers: blocks.
        hidden: width of the residual stream.
        intermediate: width of the gated MLP.
        queries: heads x width of a head.
        keys: key-value heads x width of a head.
        vocabulary: rows of the embedding.
        tied: the embedding is the output layer, too.
        positions: most tokens of a sequence; 0 where its config does not say.
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    queries: int
    keys: int
    vocabulary: int
    tied: bool
    positions: int

    @property
    def embeddings(self) -> int:
        """Parameters of the embedding and the output layer."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)


def training_state(parameters: int, ranks: int, stored: int = FP32, moments: int = MOMENTS) -> int:
    """Weights, gradients and Adam's moments of one rank of `ranks`: P (2 + moments) stored / ranks.

    ZeRO's third stage (arXiv 1910.02054, section 5) with everything in the dtype that FSDP's shards are stored in.
    """
    return parameters * (2 + moments) * stored // ranks


def resting_state(parameters: int, ranks: int, stored: int = FP32, moments: int = MOMENTS) -> int:
    """The same between two updates, when there are no gradients."""
    return parameters * (1 + moments) * stored // ranks


def gathered(shape: ModelShape) -> int:
    """Whole weights that FSDP has in bf16 at a time, and the gradient that it scatters.

    The root's, embeddings that is, stay from the forward to the backward pass; of blocks the one that computes and the
    one that is fetched next. The largest gradient is there in bf16, and in fp32 to be reduced
    (pytorch.org/docs/stable/fsdp.html, `backward_prefetch`, `MixedPrecision.reduce_dtype`).
    """
    block = (shape.parameters - shape.embeddings) // shape.layers
    return BF16 * (shape.embeddings + 2 * block) + (BF16 + FP32) * max(shape.embeddings, block)


def activations(shape: ModelShape, tokens: int, checkpointing: bool = True) -> int:
    """Of a micro-batch of `tokens`: the input of each block, and all that one block keeps for its backward pass.

    A token's bytes in a block of two norms, attention by a fused kernel and a gated MLP, in bf16 but for the norms'
    fp32 copies: 16 hidden (two norms of 4 + 2, two residuals of 2), 4 queries + 4 keys (query and output, key and
    value), 12 intermediate (gate, up, its activation, the product, and the gradients of two). As in arXiv 2205.05198,
    section 4, which counts a GPT's block. Without checkpointing every block keeps them.
    """
    block = tokens * (16 * shape.hidden + 4 * shape.queries + 4 * shape.keys + 12 * shape.intermediate)
    return tokens * BF16 * shape.hidden * shape.layers + block if checkpointing else block * shape.layers


def logits(
    vocabulary: int, tokens: int, unit_temperature: bool = True, flash_attention: bool = True, entropy: bool = False
) -> int:
    """Of a micro-batch, in bf16: T V for each copy that is there at once.

    The logits are one. Any temperature but 1 makes a scaled copy and, backward, its gradient. flash-attn's
    cross-entropy overwrites the logits by their gradient; verl's own keeps their log-softmax and a gradient, two copies
    more. An entropy bonus forbids to overwrite and keeps a softmax: two more
    (verl/utils/torch_functional.py, verl/workers/engine/fsdp/transformer_impl.py, prepare_model_outputs).
    """
    copies = 1 + 2 * (not unit_temperature) + 2 * (not flash_attention) + 2 * entropy
    return BF16 * tokens * vocabulary * copies


def without_flash_attention(vocabulary: int, tokens: int) -> int:
    """What a micro-batch needs more where flash-attn is missing: see `logits`."""
    return logits(vocabulary, tokens, flash_attention=False) - logits(vocabulary, tokens)


def cache_of_a_token(shape: ModelShape, stored: int = BF16) -> int:
    """Keys and values of one token in all layers: 2 L K stored (arXiv 2309.06180, section 3)."""
    return 2 * shape.layers * shape.keys * stored


def cache_room(shape: ModelShape, gpu: int, share: float, parallel: int = 1) -> int:
    """What an engine that may take `share` of a GPU has left for its cache, beside its part of the weights in bf16."""
    return int(gpu * share) - shape.parameters * BF16 // parallel - ENGINE_EXTRA


def cached_sequences(shape: ModelShape, room: int, length: int, parallel: int = 1) -> int:
    """Sequences of `length` tokens that are in a cache of `room` at once; each of `parallel` GPUs has a part."""
    return max(0, room) * parallel // (cache_of_a_token(shape) * length)


def checkpoint(parameters: int, stored: int = FP32, weights: bool = True, moments: int = MOMENTS) -> int:
    """A trained model on the disk: its weights and Adam's moments, in the dtype that they are trained in."""
    return parameters * stored * (weights + moments)


def host_memory(shape: ModelShape, gpus: int, reference: bool = False) -> int:
    """RAM of a node: processes, and the most of what passes through it; for good the weights of a reference policy.

    A save copies the weights and both moments of all ranks there (verl's fsdp_checkpoint_manager.py, save_checkpoint).
    Each rank reads a model with tied embeddings, else the first alone does (verl's get_init_weight_context_manager).
    verl keeps a reference policy's weights in the host's memory (transformer_impl.py, _build_fsdp_module).
    Several models are read one after the other.
    """
    reading = FP32 * shape.parameters * (gpus if shape.tied else 1)
    passing = max(reading, checkpoint(shape.parameters))
    return gpus * PROCESSES_A_GPU * PROCESS + passing + (FP32 * shape.parameters if reference else 0)
