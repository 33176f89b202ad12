"""A LoRA adapter, a new one or a saved one: verl's workers make it with peft, which draws what is missing."""

import warnings
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.files import is_path
from verl_dots.launch.weights_checks import ADAPTER_FILES, require_shapes, shapes_of, weights_in
from verl_dots.settings import ConfigError

GROUP = "actor_rollout_ref.model"
KEY, RANK, TARGETS = f"{GROUP}.lora_adapter_path", f"{GROUP}.lora_rank", f"{GROUP}.target_modules"
CONFIG = "adapter_config.json"


def require_adapter_folder(config: DictConfig) -> None:
    """Raise ConfigError where the adapter's path is no folder of one; hub ids are left to the hub."""
    given = config.actor_rollout_ref.model.get("lora_adapter_path")
    if given is not None and is_path(given) and not (Path(given).expanduser() / CONFIG).is_file():
        text = f"{KEY}: {given!r} is not the folder of an adapter (no {CONFIG} in it); give one that peft has saved"
        raise ConfigError(text, key=KEY, reason="file")


def check_adapter(config: DictConfig, model: Any) -> None:
    """Refuse an adapter that is none, that is not of the model, or that verl would not load.

    Args:
        config: after `require_adapter_folder`.
        model: on torch's device meta; None where it is not known. An adapter is put into it.

    Raises:
        ConfigError: the folder holds no weights of one, or it has another rank or other shapes; or a new one has no
            module of the model to stand beside.
    """
    given, rank = config.actor_rollout_ref.model.get("lora_adapter_path"), config.actor_rollout_ref.model.lora_rank
    if given is None:
        if rank and model is not None:
            _check_new(config.actor_rollout_ref.model, model)
        return
    folder = Path(given).expanduser()
    if not rank:
        # verl leaves it out, and then takes the policy itself for its reference.
        words = "verl loads an adapter with a rank alone; set it to that of the adapter, or leave the adapter out"
        raise ConfigError(f"{RANK}=0 does not go with {KEY}={given}: {words}", key=RANK, reason="excluded")
    if not is_path(given):
        return
    files = weights_in(KEY, folder, ADAPTER_FILES)
    if not files:
        raise ConfigError(f"{KEY}: {given!r} has no weights ({' or '.join(ADAPTER_FILES)}); give an adapter that peft "
                          "has saved", key=KEY, reason="file")  # fmt: skip
    expected = _expected(given, folder, rank, model)
    found = shapes_of(files)
    if expected is None or found is None:
        return
    wrong = {name: (found[name], shape) for name, shape in expected.items() if found.get(name, shape) != shape}
    require_shapes(KEY, folder, wrong, sorted(expected.keys() - found.keys()))


def _check_new(settings: DictConfig, model: Any) -> None:
    """Make the adapter as verl does."""
    import torch
    from peft import LoraConfig, get_peft_model

    given = ("target_modules", "target_parameters", "exclude_modules")
    modules = {name: OmegaConf.to_object(OmegaConf.create({"of": settings.get(name)}))["of"] for name in given}
    names = [name for name, _ in model.named_modules()]
    try:
        if isinstance(wanted := modules["target_modules"], list):  # peft is content with one that it finds
            missing = [each for each in wanted if not any(f".{name}".endswith(f".{each}") for name in names)]
            if missing:
                raise ValueError(f"the model has no module {', '.join(missing)}")
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            get_peft_model(model, LoraConfig(r=settings.lora_rank, lora_alpha=settings.lora_alpha, **modules))
    except Exception as error:  # noqa: BLE001 - names at random raise anything
        told = " ".join(str(error).split())[:300]
        shown = ", ".join(f"{name}={value}" for name, value in modules.items() if value is not None)
        text = f"{TARGETS}: no LoRA adapter to this model can be made of {shown}: {type(error).__name__}: {told}. Name "
        raise ConfigError(f"{text}modules of it, or leave it at all-linear", key=TARGETS, reason="choice") from error


def _expected(given: str, folder: Path, rank: int, model: Any) -> dict[str, tuple[int, ...]] | None:
    """The shapes by name of such an adapter to a model; None where the model is not known."""
    import torch
    from peft import LoraConfig, PeftConfig, get_peft_model, get_peft_model_state_dict

    try:
        adapter = PeftConfig.from_pretrained(str(folder))
        if not isinstance(adapter, LoraConfig):
            raise ValueError(f"it is of the kind {adapter.peft_type}, and must be LORA")
        if adapter.r == rank and model is not None:
            with torch.device("meta"):
                weights = get_peft_model_state_dict(get_peft_model(model, adapter), save_embedding_layers=False)
    except Exception as error:  # noqa: BLE001 - a config at random raises anything
        told = " ".join(str(error).split())[:300]
        text = f"{KEY}: {given!r} is no LoRA adapter to this model: {type(error).__name__}: {told}. Give another"
        raise ConfigError(text, key=KEY, reason="file") from error
    if adapter.r != rank:
        words = f"{RANK}={rank}: the adapter in {given} has the rank {adapter.r}; set it to that"
        raise ConfigError(words, key=RANK, reason="size")
    return None if model is None else {name: tuple(value.shape) for name, value in weights.items()}
