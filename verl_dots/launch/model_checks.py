"""A model's folder, checked before anything starts: what verl's workers would find a minute later.

Of a model of the hub the cache must have all files, or the hub must give them; it compares their checksums itself. No
weights are read: the model is built without memory (torch's device meta), and transformers' own loader puts the shapes
of the files in it, renamed and merged as ever.
"""

import contextlib
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots import hub
from verl_dots.files import is_path, read_json
from verl_dots.generation.standalone import load_tokenizer
from verl_dots.launch.adapter_checks import check_adapter, require_adapter_folder
from verl_dots.launch.weights_checks import Shapes, require_shapes, shapes_of, weights_in
from verl_dots.methods.refusals import refused_as
from verl_dots.settings import ConfigError, require
from verl_dots.training.parts import has_critic

GROUP = "actor_rollout_ref.model"
MODEL = f"{GROUP}.path"
# Beside those that the class of a tokenizer names.
TOKENIZER_FILES = ("tokenizer.json", "tekken.json", "*.model", "*.tiktoken")


def check_places(config: DictConfig) -> None:
    """Refuse paths of a model that are no folders; hub ids are left to the hub.

    Raises:
        ConfigError: one is not there, or the model's has no config.json, or a damaged one.
    """
    path = config.actor_rollout_ref.model.path
    if is_path(path) and not (Path(path).expanduser() / "config.json").is_file():
        raise ConfigError(
            f"{MODEL}: {path!r} is not a model folder (no config.json in it); give a folder or "
            "a hub id, or make a tiny model with python -m scripts.make_tiny_model",
            key=MODEL,
            reason="file",
        )
    if is_path(path):
        with refused_as(MODEL, "file"):
            read_json(Path(path).expanduser() / "config.json", advice="copy the model's folder anew, or give another")
    for name in ("tokenizer_path", "hf_config_path"):
        given = config.actor_rollout_ref.model.get(name)
        there = given is None or not is_path(given) or Path(given).expanduser().exists()
        rule = "must be a folder that is there, a hub id, or null for that of the model"
        require(f"{GROUP}.{name}", given, there, rule, "file")
    require_adapter_folder(config)


def require_model(path: str, allowed: str = "a folder or a hub id") -> str:
    """Find a model that is no folder: config and weights in the hub's cache here, else on the hub, which is asked.

    Args:
        allowed: what may be given in its place.

    Returns:
        What the cache lacks and the hub gives, so that the first start fetches it; nothing where all is here.

    Raises:
        ConfigError: there is no such folder; or the cache lacks something, and the hub cannot be reached or does not
            give it away.
    """
    if is_path(path):
        if not Path(path).expanduser().exists():
            raise ConfigError(f"there is no folder {path!r}; give {allowed}", reason="file")
        return ""
    lacking = ""
    try:
        if lacking := hub.lacking(path):
            hub.ask(path)
    except hub.HubError as error:
        raise ConfigError(_not_here(path, lacking, error), reason="file") from error
    return lacking


def _not_here(path: str, lacking: str, error: hub.HubError) -> str:
    """Words of a model that the cache lacks a part of, and the hub does not give; lacking nothing it is damaged."""
    if not lacking:
        return f"the hub's cache here: {error}"
    if lacking == hub.CONFIG:
        return (
            f"{path!r} is neither a folder here nor a model of the hub, or the hub cannot be reached ({error}); give a "
            f"folder or a hub id, fetch it where there is a network (`hf download {path}`), or make a tiny model with "
            "python -m scripts.make_tiny_model"
        )
    return (
        f"the hub's cache here has a part of {path!r} and no {lacking}, and the hub does not give it ({error}); fetch "
        f"all of it where there is a network: `hf download {path}`"
    )


def check_model_folder(config: DictConfig, train: bool = True) -> None:
    """Refuse a folder from which no worker could load the model, or from which it would load a part of it.

    Args:
        train: the run trains; else weights may still be merged from shards, and a folder without any is let pass.

    Raises:
        ConfigError: config, weights, tokenizer or adapter are damaged, or do not belong together.
    """
    for key, path in _others(config) if train else ():
        require(key, path, path is not None, "must be a model folder or hub id", "missing")
        with refused_as(key, "file"):
            require_model(str(path))
        if Path(path).expanduser().is_dir():
            weights_in(key, Path(path).expanduser())
    if not is_path(config.actor_rollout_ref.model.path):
        return
    folder, tokenizer = Path(config.actor_rollout_ref.model.path).expanduser(), load_tokenizer(config)
    files = weights_in(MODEL, folder)
    by_fsdp = "fsdp" in str(config.actor_rollout_ref.actor.strategy)
    if train and by_fsdp and not files:
        words = "has a config.json and no weights (model.safetensors, pytorch_model.bin or an index of their parts)"
        raise ConfigError(f"{MODEL}: {folder} {words}; copy it anew, or give another", key=MODEL, reason="file")
    model = _without_memory(config, folder)
    shapes = shapes_of(files)
    if model is not None and shapes is not None:
        require_shapes(MODEL, folder, *_differences(folder, model, shapes))
    _check_tokenizer(config, tokenizer, model)
    if train and by_fsdp:
        check_adapter(config, model)


def _others(config: DictConfig) -> list[tuple[str, str | None]]:
    """Settings that name further models of the run, with their values."""
    keys = ["dots.difficulty.backbone"] if config.dots.selection.enable else []
    keys += ["critic.model.path"] if has_critic(config) else []
    keys += ["reward.reward_model.model_path"] if config.reward.reward_model.enable else []
    return [(key, OmegaConf.select(config, key)) for key in keys]


def _without_memory(config: DictConfig, folder: Path) -> Any:
    """The model as verl's workers make it, on torch's device meta; None where it is code of its own, or quantized."""
    import torch
    from transformers import AutoConfig
    from verl.utils.model import get_hf_auto_model_class, update_model_config

    from verl_dots.launch.override_checks import require_read, unknown_keys

    given = config.actor_rollout_ref.model
    trusted = bool(given.get("trust_remote_code", False))
    place = given.get("hf_config_path") or str(folder)
    overrides = OmegaConf.to_container(given.get("override_config") or OmegaConf.create({}), resolve=True)
    overrides = overrides.get("model_config", overrides)
    overrides.pop("attn_implementation", None)  # of flash-attn, which needs a GPU; it has no weights
    try:
        with quiet():
            found = AutoConfig.from_pretrained(str(Path(place).expanduser()) if is_path(place) else place,
                                               trust_remote_code=trusted)  # fmt: skip
            unknown = unknown_keys(found, overrides)
            update_model_config(found, overrides)
            if trusted and getattr(found, "auto_map", None) or getattr(found, "quantization_config", None):
                return None
            if len(found.architectures or ()) != 1:
                raise ValueError(f"its config names {found.architectures!r} as architectures, and must name one")
            with torch.device("meta"):
                model = get_hf_auto_model_class(found).from_config(found)
    except Exception as error:  # noqa: BLE001 - a config at random raises anything
        raise ConfigError(
            f"{MODEL}: {place} has no config.json that transformers can make a model of: {_cause(error)}. "
            "Give the folder of a causal language model",
            key=MODEL,
            reason="file",
        ) from error
    require_read(model, unknown)
    if not model.can_generate():
        raise ConfigError(
            f"{MODEL}: {place} is of a {type(model).__name__}, which cannot generate text; give the folder of a "
            "causal language model",
            key=MODEL,
            reason="file",
        )
    return model


def _differences(folder: Path, model: Any, shapes: Shapes) -> tuple[dict[str, tuple[Any, Any]], list[str]]:
    """What transformers finds wrong when it loads weights of these shapes: other shapes by name, and missing names."""
    import torch

    weights = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    kind, options = type(model), {"dtype": torch.float32, "device_map": {"": "meta"}}
    try:
        with quiet():
            _, found = kind.from_pretrained(
                None, config=model.config, state_dict=weights, output_loading_info=True, ignore_mismatched_sizes=True,
                **options,
            )  # fmt: skip
    except RuntimeError as error:  # parts that it would merge do not fit each other
        words = "its weights cannot be merged as its config says, some may be missing"
        raise ConfigError(
            f"{MODEL}: {folder}: {words}. Copy it anew, or give another", key=MODEL, reason="file"
        ) from error
    return {name: (there, here) for name, there, here in found["mismatched_keys"]}, list(found["missing_keys"])


def _check_tokenizer(config: DictConfig, tokenizer: Any, model: Any) -> None:
    """Refuse a tokenizer without its vocabulary, or with tokens that the model has no embedding of."""
    given = config.actor_rollout_ref.model.get("tokenizer_path")
    key, place = (f"{GROUP}.tokenizer_path", given) if given else (MODEL, config.actor_rollout_ref.model.path)
    folder = Path(place).expanduser()
    names = {*tokenizer.vocab_files_names.values(), *TOKENIZER_FILES}
    if folder.is_dir() and tokenizer.vocab_files_names and not any(any(folder.glob(name)) for name in names):
        raise ConfigError(
            f"{key}: {place} has no vocabulary of a tokenizer ({', '.join(sorted(names))}); copy its files there, or "
            f"set {GROUP}.tokenizer_path",
            key=key,
            reason="file",
        )
    if model is None:
        return
    rows = model.get_input_embeddings().weight.shape[0]
    # Tokens that were added and stand for no text, those of images for example, may lie beyond.
    used = [number for number, token in tokenizer.added_tokens_decoder.items()
            if str(token) in str(tokenizer.chat_template)]  # fmt: skip
    special = [number for number in (tokenizer.eos_token_id, tokenizer.pad_token_id) if number is not None]
    if (most := max([tokenizer.vocab_size - 1, *special, *used])) >= rows:
        raise ConfigError(
            f"{key}: the tokenizer of {place} has tokens up to {most}, and the model embeddings of {rows}, counted "
            "from 0; give the tokenizer that belongs to the model",
            key=key,
            reason="size",
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """transformers without its warnings and bars: what they tell is told in the refusal."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _cause(error: Exception) -> str:
    """The first two lines of what transformers says, which may be a page."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {textwrap.shorten(' '.join(lines[:2]), 200, placeholder=' ...')}"
