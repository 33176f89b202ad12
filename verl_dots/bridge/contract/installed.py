"""The installed verl and TransferQueue against the table of what the package relies on."""

import ast
import importlib
import inspect
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from verl_dots.bridge.contract import CONTRACT
from verl_dots.bridge.contract.part import Part, signatures


def differences(contract: Sequence[Part] = CONTRACT) -> list[str]:
    """What of the table the installed packages do not have; one sentence each, with the file that relies on it."""
    return [
        f"{part.owner}{problem}; verl_dots/{part.used_in} relies on it" for part in contract for problem in _of(part)
    ]


def _of(part: Part) -> Iterator[str]:
    owner = _found(part.owner)
    if owner is None:
        yield " is not there"
        return
    for named, exactly in ((part.overridden, True), (part.called, False)):
        for name, wanted in signatures(named):
            if not callable(member := getattr(owner, name, None)):
                yield f".{name} is not there"
            elif problem := _parameters_differ(member, wanted.split(), exactly):
                yield f".{name} {problem}"
    known = set(dir(owner)) if isinstance(owner, ModuleType) else _attributes(owner)
    yield from (f".{name} is not there" for name in part.attributes.split() if name not in known)
    if part.written:
        keys = _written_keys(owner)
        yield from (f" does not write {name!r}" for name in part.written.split() if name not in keys)


def _found(path: str) -> Any:
    """A module or a member of one by its dotted path; of an actor class of Ray the class within. None if not there."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        found = getattr(_found(module), name, None) if module else None
        return found.__ray_metadata__.modified_class if hasattr(found, "__ray_metadata__") else found


def _parameters_differ(member: Any, wanted: Sequence[str], exactly: bool) -> str | None:
    """In words, or None: of what is overridden all are told, of what is called those without a default."""
    left_out = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = {
        name: parameter.default is not inspect.Parameter.empty
        for name, parameter in inspect.signature(member).parameters.items()
        if parameter.kind not in left_out and name not in ("self", "_ray_trace_ctx")  # the last one is Ray's
    }
    needed = {name for name, optional in found.items() if exactly or not optional}
    if needed <= set(wanted) <= set(found):
        return None
    return f"takes ({', '.join(found)}) where ({', '.join(wanted)}) is {'overridden' if exactly else 'given'}"


def _attributes(owner: type) -> set[str]:
    """Names of the class, of its annotations, and all that its methods assign to self."""
    names = set(dir(owner))
    for kind in owner.__mro__:
        names |= set(vars(kind).get("__annotations__", ()))
        if kind.__module__.partition(".")[0] not in ("verl", "transfer_queue"):
            continue
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(kind)))):
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                names |= {
                    child.attr
                    for child in ast.walk(node)
                    if isinstance(child, ast.Attribute)
                    and isinstance(child.ctx, ast.Store)
                    and getattr(child.value, "id", None) == "self"
                }
    return names


def _written_keys(module: ModuleType) -> set[str]:
    """Names of dicts that a module makes or updates by keyword."""
    keys = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Dict):
            keys |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Call):
            keys |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return keys
