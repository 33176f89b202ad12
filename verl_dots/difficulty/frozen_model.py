"""The backbone at work: a frozen transformers model, and the means of its hidden states over a text's tokens."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from safetensors import SafetensorError

from verl_dots.difficulty.backbone import Backbone, EmbeddingError

logger = logging.getLogger(__name__)

SHOWN = 5  # questions named in a message
TOKENIZERS = ("tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken")


class FrozenModel:
    """The backbone, loaded: any transformers model that returns hidden states of its tokens.

    Raises:
        EmbeddingError: it cannot be loaded, has fewer layers than asked for, or the device is not there.
    """

    def __init__(self, backbone: Backbone, device: str = "cpu", dtype: torch.dtype | None = None):
        from transformers import AutoModel, AutoTokenizer

        self.backbone, self.device = backbone, _device(device)
        dtype = dtype or (torch.float32 if self.device.type == "cpu" else torch.bfloat16)
        folder = backbone.folder
        # Without its files transformers makes up a tokenizer that knows no words.
        if not any(file for pattern in TOKENIZERS for file in folder.glob(pattern)):
            text = f"backbone {backbone.path!r} has no tokenizer: none of {', '.join(TOKENIZERS)} in it"
            raise EmbeddingError(text, key=backbone.path, reason="file")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            with _without_report():
                model, told = AutoModel.from_pretrained(folder, dtype=dtype, output_loading_info=True)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise EmbeddingError(
                f"backbone {backbone.path!r} cannot be loaded: {error}", key=backbone.path, reason="file"
            ) from error
        if lacking := sorted(name for name in told["missing_keys"] if "pooler" not in name):
            text = "backbone %r lacks %d weights, which are drawn at random: %s"
            logger.warning(text, backbone.path, len(lacking), ", ".join(lacking[:SHOWN]))
        self.model = model.to(self.device).eval().requires_grad_(False)
        self.max_length = min(backbone.max_length, _positions(model) or backbone.max_length)
        blocks = model.config.num_hidden_layers
        if not isinstance(backbone.layers, str) and max(backbone.layers) > blocks:
            raise EmbeddingError(
                f"layers={backbone.layers}: {backbone.path!r} has layers 0 to {blocks}", key="layers", reason="size"
            )

    def batches(
        self, texts: Sequence[str], batch_tokens: int, places: Sequence[int] | None = None
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Embeddings of some texts, batch by batch: their positions [N], and [N, d] float32.

        Batches are of neighbours in length and hold at most `batch_tokens` with their padding.

        Args:
            places: what the questions are called in errors; their positions unless given.

        Raises:
            EmbeddingError: a text without tokens, an embedding that is not finite, or batch_tokens below 1.
        """
        if batch_tokens < 1:
            raise EmbeddingError(f"batch_tokens={batch_tokens}: must be 1 or more", key="batch_tokens", reason="range")
        places = range(len(texts)) if places is None else places
        tokens_P = [self.tokenizer(text, truncation=True, max_length=self.max_length)["input_ids"] for text in texts]
        empty = [places[row] for row, tokens in enumerate(tokens_P) if not tokens]
        if empty:
            text = f"{len(empty)} questions have no tokens for {self.backbone.path}, at {empty[:SHOWN]}"
            raise EmbeddingError(text, key=self.backbone.path, reason="data")
        for batch in _batches([len(tokens) for tokens in tokens_P], batch_tokens):
            means = self._means([tokens_P[row] for row in batch])
            bad = [row for row, finite in zip(batch, np.isfinite(means).all(axis=1), strict=True) if not finite]
            if bad:
                raise EmbeddingError(
                    f"{self.backbone.path} gives values that are not finite for questions "
                    f"{[places[row] for row in bad[:SHOWN]]}, {texts[bad[0]][:200]!r} the first; nothing of them is "
                    "stored. Another backbone may do, or float32 (device=cpu)",
                    key=self.backbone.path,
                    reason="data",
                )
            yield batch, means

    @torch.inference_mode()
    def _means(self, tokens_N: list[list[int]]) -> np.ndarray:
        """[N, d] means over the tokens; the mask is made here, so the tokenizer needs no padding token."""
        longest = max(map(len, tokens_N))
        ids = torch.zeros(len(tokens_N), longest, dtype=torch.long)
        mask = torch.zeros(len(tokens_N), longest, dtype=torch.long)
        for row, tokens in enumerate(tokens_N):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        layers = self.backbone.layers
        output = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=layers != "last")
        states = [output.last_hidden_state] if layers == "last" else output.hidden_states
        if not isinstance(layers, str):
            states = [states[layer] for layer in layers]
        weight = mask.unsqueeze(-1)
        means = [(state.float() * weight).sum(1) / weight.sum(1) for state in states]
        return torch.cat(means, dim=-1).cpu().numpy()


@contextmanager
def _without_report() -> Iterator[None]:
    """transformers without its report of a loaded model, which is of the head that is not used here."""
    from transformers.utils import logging as said

    level = said.get_verbosity()
    said.set_verbosity_error()
    try:
        yield
    finally:
        said.set_verbosity(level)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise EmbeddingError(
            f"device={name!r} is none that torch knows: cpu, cuda, cuda:1 ...", key="device", reason="choice"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        text = f"device={name!r}: torch sees {torch.cuda.device_count()} CUDA devices here; try cpu"
        raise EmbeddingError(text, key="device", reason="machine")
    return device


def _positions(model: torch.nn.Module) -> int | None:
    """Tokens that the model has positions for; RoBERTa's kin lose those up to the padding index."""
    limit = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return limit - module.padding_idx - 1
    return limit


def _batches(length_P: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Positions in batches of similar length; a batch's longest times its rows is at most `batch_tokens`."""
    batches: list[list[int]] = []
    for place in sorted(range(len(length_P)), key=length_P.__getitem__):
        if batches and (len(batches[-1]) + 1) * length_P[place] <= batch_tokens:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
