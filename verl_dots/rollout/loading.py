"""Make an engine from a model folder or hub id, and check that the model computes in it what it computes alone."""

import logging

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedConfig

from verl_dots.rollout import attention
from verl_dots.rollout.engine import Engine
from verl_dots.rollout.request import Request, SamplingParams
from verl_dots.rollout.settings import EngineConfig

logger = logging.getLogger(__name__)

PROBE_TOKENS = 24
PROBE_TOLERANCE = 1e-3
ATTENTION_LAYERS = frozenset(
    {"attention", "full_attention", "sliding_attention"}
)  # as a config's layer_types names them

CHANGING_ROPES = ("dynamic", "longrope")


class UnsupportedModel(ValueError):
    """The engine cannot run this architecture."""


def load_engine(
    path: str,
    config: EngineConfig,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    trust_remote_code: bool = False,
    random_weights: bool = False,
) -> Engine:
    """Load a causal LM for the engine.

    Args:
        path: folder or hub id of a transformers causal LM.
        dtype: of the weights and the cache.
        random_weights: do not read the weights: somebody will send them (verl's load_format "dummy").

    Raises:
        UnsupportedModel: the architecture's attention cannot be replaced, or gives other results in the engine; a layer
            is of another kind; or the folder lacks weights of it.
    """
    options = {"dtype": dtype, "attn_implementation": attention.NAME, "trust_remote_code": trust_remote_code}
    try:
        if random_weights:
            hf_config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
            model = AutoModelForCausalLM.from_config(hf_config, **options)
        else:
            model, found = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True, **options)
            _require_weights(path, sorted(found["missing_keys"]))
    except (ValueError, AttributeError) as error:
        if attention.NAME in str(error):
            raise UnsupportedModel(f"{path}: {error}; use rollout.name=vllm or sglang for this model") from error
        raise
    model = model.to(device).eval()
    require_attention_alone(model, config.max_model_len)
    check_model(model)
    return Engine(model, config, eos_token_ids(path, model))


def _require_weights(path: str, missing: list[str]) -> None:
    """transformers draws what is not there at random, and says so in a table alone."""
    if missing:
        raise UnsupportedModel(
            f"{path} lacks {len(missing)} weights of its model, {', '.join(missing[:3])} among them: responses would "
            "be random; give a whole folder"
        )


def require_attention_alone(model: torch.nn.Module, max_model_len: int) -> None:
    """Pass a model whose layers remember a sequence by keys and values alone.

    Random weights hide what a layer of another kind does, and `check_model` may be given these.

    Raises:
        UnsupportedModel: a layer keeps a state of its own, or reads chunks that are shorter than a sequence; or where a
            token stands counts another way once one of a batch's sequences is long.
    """
    config = model.config.get_text_config()
    kind, longest = _changing_positions(config)
    if kind and max_model_len > longest:
        raise UnsupportedModel(
            f"{type(model).__name__} has rope_type={kind!r}, which turns all sequences of a batch another way once one "
            f"has more than {longest} tokens; rollout.max_model_len is {max_model_len}: lower rollout.prompt_length or "
            "response_length, or use rollout.name=vllm or sglang"
        )
    kinds = set(getattr(config, "layer_types", None) or ()) - ATTENTION_LAYERS
    if (getattr(config, "attention_chunk_size", None) or 0) >= max_model_len:
        kinds.discard("chunked_attention")  # one chunk holds every sequence
    if kinds or getattr(model, "_is_stateful", False):
        what = f"layers of the kind {', '.join(sorted(kinds))}" if kinds else "layers with a state of their own"
        raise UnsupportedModel(
            f"{type(model).__name__} has {what}; the engine computes full and sliding attention alone; "
            "use rollout.name=vllm or sglang for it"
        )


def _changing_positions(config: PreTrainedConfig) -> tuple[str | None, int]:
    """The first rope type of a config that depends on the longest sequence of a batch, and from which length on."""
    rope = getattr(config, "rope_parameters", None) or {}
    for one in (rope, *(own for own in rope.values() if isinstance(own, dict))):  # some have one for each kind of layer
        kind = one.get("rope_type")
        if kind in CHANGING_ROPES:
            return kind, int(one.get("original_max_position_embeddings") or config.max_position_embeddings)
    return None, 0


def eos_token_ids(path: str, model: torch.nn.Module) -> set[int]:
    """The tokens that end a response: the generation config's, or where there is none the model config's."""
    try:
        ids = GenerationConfig.from_pretrained(path).eos_token_id
    except OSError:
        ids = None
    ids = model.config.eos_token_id if ids is None else ids
    if ids is None:
        logger.warning("%s names no end-of-sequence token: responses end at max_tokens only", path)
        return set()
    return {int(token) for token in (ids if isinstance(ids, list | tuple) else [ids])}


@torch.no_grad()
def check_model(model: torch.nn.Module) -> None:
    """Generate a few tokens in an engine and compare their log-probabilities with one plain forward pass.

    Raises:
        UnsupportedModel: they differ: the architecture does something that the engine's attention does not.
    """
    vocabulary = model.get_input_embeddings().weight.shape[0]
    prompt = tuple((7 * i + 3) % vocabulary for i in range(PROBE_TOKENS))
    engine = Engine(model, EngineConfig(max_model_len=4 * PROBE_TOKENS))
    params = SamplingParams(max_tokens=PROBE_TOKENS, seed=0, ignore_eos=True)
    try:
        engine.add(Request("probe", prompt, params))
        [done] = engine.run()
    except (RuntimeError, NotImplementedError, TypeError, AttributeError) as error:
        raise UnsupportedModel(
            f"{type(model).__name__} does not run in the engine ({error}); use rollout.name=vllm or sglang for it"
        ) from error
    tokens = torch.tensor([[*prompt, *done.token_ids]], device=engine.device)
    model.set_attn_implementation("eager")
    logits = model(input_ids=tokens, use_cache=False).logits[0, PROBE_TOKENS - 1 : -1]
    model.set_attn_implementation(attention.NAME)
    plain = torch.log_softmax(logits.float(), -1).gather(-1, tokens[0, PROBE_TOKENS:, None])[:, 0]
    worst = (plain.cpu() - torch.tensor(done.log_probs)).abs().max().item()
    tolerance = PROBE_TOLERANCE if model.dtype == torch.float32 else 0.2
    if not worst <= tolerance:
        raise UnsupportedModel(
            f"{type(model).__name__} gives other results in the engine (log-probabilities differ by {worst:.3g}); "
            "use rollout.name=vllm or sglang for it"
        )
