"""verl's FSDP engine on a CPU, with what rows begin with alike computed once, and log-probs without a loop over tokens.

verl imports it by `model.external_lib`, which conf/device/cpu.yaml sets, and then finds it for a CPU's vendor.
"""

import logging
import warnings
from functools import partial

import numpy as np
import torch
from tensordict import TensorDict
from torch.utils.checkpoint import checkpoint
from verl.utils import tensordict_utils as tu
from verl.utils import torch_functional as verl_F
from verl.utils.model import extract_multi_modal_inputs

from verl_dots.engines import cpu_platform
from verl_dots.engines.prefixes import Costs, Layout, shared

with warnings.catch_warnings():  # of engines that nobody asked for
    warnings.simplefilter("ignore")
    from verl.workers.engine import EngineRegistry
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

logger = logging.getLogger(__name__)

PROBE_TOKENS = 8
PROBE_TOLERANCE = 1e-3
CHUNK = 1024  # positions whose log-sum-exp is computed at once: their copy of the logits is all the memory it takes
# Settings of models whose tokens do not see all that comes before them.
OTHER_ATTENTION = ("sliding_window", "attention_chunk_size", "index_topk", "window_size")
# What verl computes from the logits beside log-probs and entropy, or in the model instead of from them.
OTHER_OUTPUTS = ("use_remove_padding", "use_fused_kernels", "distillation_use_topk", "distillation_only")


@EngineRegistry.register(model_type="language_model", backend="fsdp2", device="cuda", vendor=cpu_platform.NAME)
class SharedPrefixEngine(FSDPEngineWithLMHead):
    """The same outputs as verl's engine gives, from fewer tokens.

    Rows are verl's own, padded, where that is no dearer, where a setting asks for another output, and where the model
    does not take a mask of trees: it has sliding windows, dropout or logits of less than 32 bits, or a probe at the
    start shows other logits.
    """

    def initialize(self) -> None:
        super().initialize()
        self._costs = _costs_of_trees(self.module)

    def prepare_model_inputs(self, micro_batch: TensorDict) -> tuple[dict, dict]:
        layout = self._layout(micro_batch)
        if layout is None:
            return super().prepare_model_inputs(micro_batch)
        inputs = {
            "input_ids": torch.from_numpy(layout.ids),
            "attention_mask": torch.from_numpy(layout.mask)[:, None],
            "position_ids": torch.from_numpy(layout.positions),
        }
        return inputs, {"places": torch.from_numpy(layout.places)}

    def prepare_model_outputs(self, output, output_args: dict, micro_batch: TensorDict, logits_processor_func) -> dict:
        if "places" not in output_args:
            return super().prepare_model_outputs(output, output_args, micro_batch, logits_processor_func)
        logits = output.logits.flatten(0, 1)
        places, input_ids = output_args["places"], micro_batch["input_ids"]
        # As in verl the last token of a row has the first of the next as its label; nothing reads it.
        labels = input_ids.values().roll(-1)
        temperatures = _temperatures(micro_batch)
        if bool((temperatures == temperatures[0]).all()):
            outputs = self._outputs(logits, temperatures[0].item(), places, labels, micro_batch)
        else:
            outputs = self._outputs_by_temperature(logits, temperatures, places, labels, micro_batch)
        offsets = input_ids.offsets()
        return {name: torch.nested.nested_tensor_from_jagged(values, offsets) for name, values in outputs.items()}

    def _outputs_by_temperature(
        self,
        logits: torch.Tensor,
        temperatures: torch.Tensor,
        places: torch.Tensor,
        labels: torch.Tensor,
        micro_batch: TensorDict,
    ) -> dict[str, torch.Tensor]:
        """As `_outputs`, for `temperatures` [rows]: of the logits that rows of a temperature meet, one after the other.

        A model's logits do not depend on them: what rows begin with alike is computed once in spite of them.
        """
        of_tokens = temperatures.repeat_interleave(micro_batch["input_ids"].offsets().diff())
        tokens, found = [], []
        for temperature in temperatures.unique():
            tokens.append((of_tokens == temperature).nonzero().flatten())
            met, places_in_met = places[tokens[-1]].unique(return_inverse=True)
            rows = logits.index_select(0, met), temperature.item(), places_in_met, labels[tokens[-1]]
            found.append(self._outputs(*rows, micro_batch))
        back = torch.cat(tokens).argsort()
        return {name: torch.cat([outputs[name] for outputs in found])[back] for name in found[0]}

    def _outputs(
        self,
        logits: torch.Tensor,
        temperature: float,
        places: torch.Tensor,
        labels: torch.Tensor,
        micro_batch: TensorDict,
    ) -> dict[str, torch.Tensor]:
        """What verl wants of each token, [tokens] each: of `logits` [positions, vocabulary] at `places` [tokens]."""
        if temperature != 1:
            logits = logits / temperature
        log_sums = torch.cat([chunk.logsumexp(-1) for chunk in logits.split(CHUNK)])
        outputs = {"log_probs": logits[places, labels] - log_sums[places]}
        if tu.get_non_tensor_data(micro_batch, key="calculate_entropy", default=False):
            entropy_of = verl_F.entropy_from_logits
            if self.engine_config.entropy_checkpointing:
                entropy_of = partial(checkpoint, entropy_of, use_reentrant=False)
            outputs["entropy"] = entropy_of(logits)[places]
        if tu.get_non_tensor_data(micro_batch, key="calculate_sum_pi_squared", default=False):
            outputs["sum_pi_squared"] = verl_F.calculate_sum_pi_squared_from_logits(logits)[places]
        return outputs

    def _layout(self, micro_batch: TensorDict) -> Layout | None:
        """Of the rows as trees; None where they are verl's."""
        if self._costs is None:
            return None
        if extract_multi_modal_inputs(micro_batch.get("multi_modal_inputs", [])):  # verl's rows of text have empty ones
            return None
        if any(tu.get_non_tensor_data(micro_batch, key=key, default=False) for key in OTHER_OUTPUTS):
            return None
        ids, positions = micro_batch["input_ids"], micro_batch["position_ids"]
        lengths = ids.offsets().diff().tolist()
        counted = np.concatenate([np.arange(length) for length in lengths])
        if positions.dim() != 2 or not np.array_equal(positions.values().numpy(), counted):
            return None
        return shared(np.split(ids.values().numpy(), np.cumsum(lengths)[:-1]), self._costs)


def _temperatures(micro_batch: TensorDict) -> torch.Tensor:
    """[rows], or [1] where all rows have it; above 0 as in verl."""
    return torch.as_tensor(micro_batch["temperature"], dtype=torch.float32).flatten().clamp(min=1e-8)


def _costs(module: torch.nn.Module) -> Costs:
    """Of a forward pass, by the shapes of its weights; of experts those that a token meets."""
    config = module.config.get_text_config()
    embedded = module.get_input_embeddings().weight
    head = module.get_output_embeddings()
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None) or 1
    share = (getattr(config, "num_experts_per_tok", None) or 1) / experts
    token = sum(
        weight.numel() * (share if "experts" in name else 1)
        for name, weight in module.named_parameters()
        if weight is not embedded or (head is not None and head.weight is embedded)
    )
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Costs(token=token, pair=2 * config.num_hidden_layers * config.num_attention_heads * width)


def _costs_of_trees(module: torch.nn.Module) -> Costs | None:
    """What a model computes in trees; None for one that does not take a mask of them."""
    try:
        if not _full_attention(module) or not _reads_trees(module):
            return None
        return _costs(module)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError) as error:
        logger.warning("%s takes no mask of trees (%s): rows are padded", type(module).__name__, error)
        return None


def _full_attention(module: torch.nn.Module) -> bool:
    """Whether every token sees all tokens before it, in every layer, and nothing is dropped by chance."""
    config = module.config.get_text_config()
    if set(getattr(config, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
        return False
    if any(getattr(config, name, None) for name in OTHER_ATTENTION) or config._attn_implementation != "sdpa":
        return False
    dropouts = [getattr(config, name, 0) or 0 for name in ("attention_dropout", "attn_pdrop", "hidden_dropout")]
    dropouts += [part.p for part in module.modules() if isinstance(part, torch.nn.Dropout)]
    return not any(dropouts)


@torch.no_grad()
def _reads_trees(module: torch.nn.Module) -> bool:
    """A probe: two rows that begin alike, as a tree, have the logits that they have by themselves."""
    vocabulary = module.config.get_text_config().vocab_size
    row = np.arange(PROBE_TOKENS, dtype=np.int64) * 7 % vocabulary
    other = np.concatenate([row[: PROBE_TOKENS // 2], (row[PROBE_TOKENS // 2 :] + 1) % vocabulary])
    layout = shared([row, other], Costs(token=1, pair=0))
    plain = module(input_ids=torch.from_numpy(np.stack([row, other])), use_cache=False).logits
    if plain.dtype != torch.float32:
        return False  # verl's log-probs of other types are computed otherwise than here
    tree = module(
        input_ids=torch.from_numpy(layout.ids),
        attention_mask=torch.from_numpy(layout.mask)[:, None],
        position_ids=torch.from_numpy(layout.positions),
        use_cache=False,
    ).logits
    worst = (tree.flatten(0, 1)[torch.from_numpy(layout.places)] - plain.flatten(0, 1)).abs().max().item()
    if not worst <= PROBE_TOLERANCE * plain.abs().max().item():
        logger.warning("%s reads a mask of trees otherwise (%.2g): rows are padded", type(module).__name__, worst)
        return False
    return True
