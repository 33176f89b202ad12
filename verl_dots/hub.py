"""Models of the hub: what of one this machine's cache lacks, and whether the hub gives the rest."""

from pathlib import Path

from verl_dots.files import parse_json
from verl_dots.settings import Refusal

CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
ASK_SECONDS = 10  # that the hub may take for each part of an answer


class HubError(Refusal):
    """A model that is not whole here and that the hub does not give."""


def cached(name: str) -> Path | None:
    """Folder of a model in the cache, whole or not; None where it has nothing of it, or `name` is no hub id."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError as error:  # or a file of it is missing, perhaps none that is read
        place = getattr(error, "snapshot_path", None)
        return Path(place) if place else None
    except HFValidationError:
        return None


def lacking(name: str) -> str:
    """What the cache lacks of a model: its config, a file of its weights, or nothing.

    Raises:
        HubError: see `lacking_weights`.
    """
    folder = cached(name)
    return CONFIG if folder is None or not (folder / CONFIG).is_file() else lacking_weights(folder)


def ask(name: str) -> None:
    """Ask the hub whether it gives a model to this user: for the head of its config. Nothing is fetched.

    Raises:
        HubError: it has no such model, does not give it, or cannot be reached within seconds; or HF_HUB_OFFLINE=1.
    """
    from httpx import HTTPError
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HFValidationError

    try:
        get_hf_file_metadata(hf_hub_url(name, CONFIG), timeout=ASK_SECONDS)
    except (HTTPError, OSError, HFValidationError) as error:
        cause = str(error).strip().partition("\n")[0]
        raise HubError(f"asked for {name}: {type(error).__name__}: {cause}", key=name, reason="file") from error


def lacking_weights(folder: Path) -> str:
    """Name of a weight file that is not there, or nothing.

    Raises:
        HubError: an index of weights is none.
    """
    # Where there are safetensors they are read, and pickles beside them are not.
    kind = "*.safetensors" if any(folder.glob("*.safetensors*")) else "*"
    for index in sorted(folder.glob(f"{kind}.index.json")):
        for file in _indexed(index):
            if not file.is_file():
                return file.name
    return "" if weights_of(folder) else " or ".join(WEIGHTS)


def weights_of(folder: Path) -> list[Path]:
    """Its files of weights, by kind and name."""
    return [file for pattern in WEIGHTS for file in sorted(folder.glob(pattern))]


def _indexed(index: Path) -> list[Path]:
    """The files of weights that an index names."""
    try:
        return [index.parent / name for name in sorted(set(parse_json(index.read_text())["weight_map"].values()))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        text = f"{index} is no index of weights ({error!r:.80}); copy the model's folder anew"
        raise HubError(text, key=str(index), reason="file") from error
