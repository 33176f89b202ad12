"""Read `run.json`: name, seed, versions and times of a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from verl_dots.files import parse_json
from verl_dots.reporting.configs import Settings

INFO_FILE = "run.json"
_KINDS = {
    "name": str, "seed": int, "versions": dict, "started": str, "finished": str, "commit": str, "machine": dict,
}  # fmt: skip


def read_info(path: Path, settings: Settings | None) -> tuple[dict[str, Any], list[str]]:
    """Return run.json's fields and notes; what it lacks comes from config.yaml, then from the folder's name."""
    file, notes, info = path / INFO_FILE, [], {}
    try:
        info = parse_json(file.read_text(encoding="utf-8"))
        if not isinstance(info, dict):
            info = {}
            raise ValueError("it holds no JSON object")
    except FileNotFoundError:
        notes.append(f"{file} is missing.")
    except (OSError, ValueError) as error:
        notes.append(f"{file} is damaged ({error}).")
    tells_end = "finished" in info
    if not tells_end:
        notes.append(f"{file} does not tell whether the run has finished.")
    for key, kind in _KINDS.items():
        value = info.get(key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool) or value == ""):
            notes.append(f"{file}: {key!r} is {value!r}, which is no {kind.__name__}; it is not used.")
            value = None
        info[key] = value
    if info["name"] is None or info["seed"] is None:
        fallback = _name_and_seed(path, settings)
        info |= {key: value for key, value in fallback.items() if info[key] is None}
        notes.append(f"{file} lacks a name or a seed; using {info['name']!r} and {info['seed']}.")
    versions = {str(name): str(version) for name, version in (info["versions"] or {}).items()}
    info |= {"name": " ".join(info["name"].split()), "versions": versions, "tells_end": tells_end}
    return info | {"commit": info["commit"] or "", "machine": _machine(info["machine"] or {})}, notes


def _machine(told: dict[str, Any]) -> str:
    """In words: "AMD EPYC, 2 cores, 8 x NVIDIA H100"."""
    cores, gpus = told.get("cores"), told.get("gpus")
    parts = [told.get("cpu") or "", f"{cores} cores" if isinstance(cores, int) else ""]
    kinds = Counter(map(str, gpus if isinstance(gpus, list) else ()))
    return ", ".join(str(part) for part in [*parts, *(f"{count} x {kind}" for kind, count in kinds.items())] if part)


def _name_and_seed(path: Path, settings: Settings | None) -> dict[str, Any]:
    settings = settings or {}
    seed = settings.get("dots.seed")
    return {
        "name": str(settings.get("trainer.experiment_name") or path.resolve().name),
        "seed": seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
    }
