"""verl's FSDP engine on a CPU, with what rows begin with alike computed once, and log-probs without a loop over tokens.

verl imports it by `model.external_lib`, which conf/device/cpu.yaml sets, and then finds it for a CPU's vendor.
"""

import logging
import warnings

import numpy as np
import torch
from tensordict import TensorDict
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
# What verl computes from the logits beside log-probs and entropy, or in the model instead of from them.
OTHER_OUTPUTS = ("use_remove_padding", "use_fused_kernels", "distillation_use_topk", "distillation_only")


@EngineRegistry.register(model_type="language_model", backend="fsdp2", device="cuda", vendor=cpu_platform.NAME)
class SharedPrefixEngine(FSDPEngineWithLMHead):
    """The same outputs as verl's engine gives, from fewer tokens.

    Rows are verl's own, padded, where that is no dearer, where a setting asks for another output, and where the model
    does not take a mask of trees: it has sliding windows or dropout, or a probe at the start shows other logits.
    """

    def initialize(self) -> None:
        super().initialize()
        self._costs = _costs(self.module) if _takes_trees(self.module) else None

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
        temperature = _temperature(micro_batch)
        if temperature != 1:
            logits = logits / temperature
        places, input_ids = output_args["places"], micro_batch["input_ids"]
        # As in verl the last token of a row has the first of the next as its label; nothing reads it.
        labels = input_ids.values().roll(-1)
        log_sums = torch.cat([chunk.logsumexp(-1) for chunk in logits.split(CHUNK)])
        outputs = {"log_probs": logits[places, labels] - log_sums[places]}
        if tu.get_non_tensor_data(micro_batch, key="calculate_entropy", default=False):
            outputs["entropy"] = verl_F.entropy_from_logits(logits)[places]
        if tu.get_non_tensor_data(micro_batch, key="calculate_sum_pi_squared", default=False):
            outputs["sum_pi_squared"] = verl_F.calculate_sum_pi_squared_from_logits(logits)[places]
        offsets = input_ids.offsets()
        return {name: torch.nested.nested_tensor_from_jagged(values, offsets) for name, values in outputs.items()}

    def _layout(self, micro_batch: TensorDict) -> Layout | None:
        """Of the rows as trees; None where they are verl's."""
        if self._costs is None or _temperature(micro_batch) is None:
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


def _temperature(micro_batch: TensorDict) -> float | None:
    """Of all rows; None where they differ."""
    temperature = micro_batch["temperature"]
    if not isinstance(temperature, torch.Tensor):
        return float(temperature)
    return temperature.flatten()[0].item() if bool((temperature == temperature.flatten()[0]).all()) else None


def _costs(module: torch.nn.Module) -> Costs:
    """Of a forward pass, by the shapes of its weights."""
    config = module.config
    embedded = module.get_input_embeddings().weight.numel()
    tied = module.get_output_embeddings().weight is module.get_input_embeddings().weight
    token = sum(weight.numel() for weight in module.parameters()) - (0 if tied else embedded)
    return Costs(token=token, pair=2 * config.num_hidden_layers * config.hidden_size)


def _takes_trees(module: torch.nn.Module) -> bool:
    """Whether a mask of trees means to the model what it says: a probe of two rows that begin alike."""
    config = module.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    dropouts = [getattr(config, name, 0) or 0 for name in vars(config) if "dropout" in name or name.endswith("pdrop")]
    if kinds != {"full_attention"} or any(dropouts) or config._attn_implementation not in ("sdpa", "eager"):
        return False
    vocabulary = config.vocab_size
    row = np.arange(PROBE_TOKENS, dtype=np.int64) * 7 % vocabulary
    other = np.concatenate([row[: PROBE_TOKENS // 2], (row[PROBE_TOKENS // 2 :] + 1) % vocabulary])
    layout = shared([row, other], Costs(token=1, pair=0))
    try:
        with torch.no_grad():
            plain = module(input_ids=torch.from_numpy(np.stack([row, other])), use_cache=False).logits
            tree = module(
                input_ids=torch.from_numpy(layout.ids),
                attention_mask=torch.from_numpy(layout.mask)[:, None],
                position_ids=torch.from_numpy(layout.positions),
                use_cache=False,
            ).logits
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError) as error:
        logger.warning("%s takes no mask of trees (%s): rows are padded", type(module).__name__, error)
        return False
    worst = (tree.flatten(0, 1)[torch.from_numpy(layout.places)] - plain.flatten(0, 1)).abs().max().item()
    if not worst <= PROBE_TOLERANCE * plain.abs().max().item():
        logger.warning("%s reads a mask of trees otherwise (%.2g): rows are padded", type(module).__name__, worst)
        return False
    return True
