"""The recipe's config, its model, and attention on this machine."""

from verl_dots.doctor.context import Context
from verl_dots.doctor.rows import FETCH, Row, judged, skipped, warned
from verl_dots.files import is_path
from verl_dots.generation.standalone import load_tokenizer
from verl_dots.launch.attention_checks import INSTALL, check_attention, has_flash_attention
from verl_dots.launch.model_checks import require_model
from verl_dots.launch.start import validate
from verl_dots.settings import ConfigError
from verl_dots.training.parts import attention_of

ROWS = (5, 300, 64, 131)  # lengths of rows that are packed
HEADS, KEY_HEADS, WIDTH = 12, 2, 128  # of Qwen2.5-1.5B
MOST_DIFFERENCE = 0.02  # of outputs and gradients in bf16, as a share of the greatest


def recipe(context: Context) -> list[Row]:
    """Whether a run would be accepted, data included."""
    check, limit = f"recipe {context.recipe}", "accepted"
    rows = []
    if context.settled:
        name, _, value = context.settled.partition("=")
        fix = f"export {context.settled}, or make the paper's predictor: bash recipes/dots/predictor.sh"
        rows = [judged(name, False, f"not set; the doctor looks at the recipe with {value}", "set", fix)]
    try:
        validate(context.config)
    except ConfigError as error:
        return [*rows, judged(check, False, str(error), limit, "as it says")]
    return [*rows, judged(check, True, "accepted, data and model included", limit, "")]


def model(context: Context) -> list[Row]:
    """Whether the model is here or can be fetched, and has a tokenizer with a chat template."""
    path, check = context.model, f"model {context.model}"
    try:
        lacking = require_model(path)
        tokenizer = load_tokenizer(context.config)
    except ConfigError as error:
        return [judged(check, False, str(error), "here or on the hub", FETCH.format(path=path))]
    place = "its folder is here" if is_path(path) else "in the hub's cache"
    if lacking:
        place = f"on the hub, which gives it; the cache has no {lacking}: the first start fetches it"
    return [
        judged(check, True, place, "here or on the hub", ""),
        judged(
            "chat template", bool(tokenizer.chat_template), "there" if tokenizer.chat_template else "missing", "there",
            "set actor_rollout_ref.model.custom_chat_template",
        ),
    ]  # fmt: skip


def attention(context: Context) -> list[Row]:
    """flash-attn as the trainer calls it, on packed rows, beside torch's attention on each row alone."""
    try:
        if context.cpu:
            return [skipped("flash-attn", "device=cpu: needs a GPU")]
        check_attention(context.config)
        if not has_flash_attention():
            takes = f"{context.recipe} has {attention_of(context.config)}, which is slower and needs more memory"
            return [warned("flash-attn", f"not installed; {takes}", INSTALL)]
        from flash_attn import flash_attn_varlen_func
    except ConfigError as error:
        return [judged("flash-attn", False, str(error), "installed", INSTALL)]
    except ImportError as error:
        return [judged("flash-attn", False, str(error), "it can be imported", f"build it for this torch: {INSTALL}")]
    import torch

    torch.manual_seed(0)
    total = sum(ROWS)
    given = [
        torch.randn(total, heads, WIDTH, dtype=torch.bfloat16, device="cuda", requires_grad=True)
        for heads in (HEADS, KEY_HEADS, KEY_HEADS)
    ]
    ends = torch.tensor([0, *torch.tensor(ROWS).cumsum(0)], dtype=torch.int32, device="cuda")
    packed = flash_attn_varlen_func(*given, ends, ends, max(ROWS), max(ROWS), causal=True)
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            *(each[None, begin:end].transpose(1, 2) for each in given), is_causal=True, enable_gqa=True
        )[0].transpose(0, 1)
        for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    ]
    alone, weight = torch.cat(parts), torch.randn(total, HEADS, WIDTH, device="cuda", dtype=torch.bfloat16)
    gradients = [torch.autograd.grad((output * weight).sum(), given) for output in (packed, alone)]
    worst = max(_share(one, other) for one, other in zip(*gradients, strict=True))
    fix = f"flash-attn was built for another torch or GPU: pip uninstall flash-attn, then {INSTALL}"
    return [
        judged(f"flash-attn against sdpa, {name}", value <= MOST_DIFFERENCE, f"{value:.4f}", f"{MOST_DIFFERENCE}", fix)
        for name, value in (("forward", _share(packed, alone)), ("backward", worst))
    ]


def _share(one, other) -> float:
    """Greatest difference of two tensors, as a share of the greatest number."""
    return ((one - other).abs().max() / other.abs().max()).item()
