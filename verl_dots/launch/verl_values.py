"""The values of verl's config that a run depends on: of which type and in which range, in one table.

verl finds most wrong ones late, in a worker, or not at all.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.errors import HydraException
from hydra.utils import get_class
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from verl_dots.launch.value_rules import FINITE, FLAG, GROUP, Rule, at_least, is_number, is_whole, optional
from verl_dots.launch.verl_table import PARTS, TABLE
from verl_dots.settings import ConfigError, Reason, is_too_large, too_large

KINDS: dict[type, Rule] = {
    bool: FLAG,
    int: Rule("must be a whole number", is_whole),
    float: FINITE,
    str: Rule("must be a text", lambda value: isinstance(value, str)),
}
NOT_NEGATIVE = optional(at_least(0))
ABSENT = object()
VARIABLES = "ray_kwargs.ray_init.runtime_env.env_vars"
UNSET = re.compile(r"Missing mandatory value: (\S+)")
WAYS_TO_SET = {
    "actor_rollout_ref.rollout.name": "choose vllm or sglang; device=cpu, for a machine without a GPU, sets hf",
}


def check_values(config: DictConfig) -> None:
    """Refuse a value that is of another type or range than the table, or than verl's typed group, allows.

    Raises:
        ConfigError: the key, its value and what it must be.
    """
    for part in PARTS:
        if (group := OmegaConf.select(config, part, default=ABSENT)) is not ABSENT:
            _require(part, group, GROUP, "type")
    for key, rule in TABLE.items():
        value = OmegaConf.select(config, key, default=ABSENT)
        if value is not ABSENT:
            _require(key, value, rule, "range")
        elif _is_given(config, key):  # as ???, which stands for a value that is yet to be set
            raise ConfigError(f"{key} is not set: {rule.words}", key=key, reason="missing")
    _check_types(config, "")
    _check_variables(OmegaConf.select(config, VARIABLES))


@contextmanager
def resolving() -> Iterator[None]:
    """What OmegaConf raises for a value that names another one in vain, as the refusal of its key."""
    try:
        yield
    except OmegaConfBaseException as error:
        if unset := UNSET.search(str(error)):
            key = unset[1]
            words = f"{key} is not set: {WAYS_TO_SET.get(key, 'give it a value')}"
            raise ConfigError(words, key=key, reason="missing") from error
        key = error.full_key or ""
        words = f"{key or 'the config'}: cannot be resolved: {str(error).splitlines()[0]}; name a key that is there"
        raise ConfigError(words, key=key, reason="unknown") from error


def _check_variables(given: Any) -> None:
    """Ray would refuse these too, and tell the value, which may be a secret."""
    if given is not None and not isinstance(given, DictConfig):
        raise ConfigError(f"{VARIABLES} is of type {type(given).__name__}: {GROUP.words}", key=VARIABLES, reason="type")
    for name, value in (given or {}).items():
        if not isinstance(value, str):
            words = f"is of type {type(value).__name__}: must be a text; put it in quotes: {name}='\"VALUE\"'"
            raise ConfigError(f"{VARIABLES}.{name} {words}", key=f"{VARIABLES}.{name}", reason="type")


def _is_given(config: DictConfig, key: str) -> bool:
    group, _, name = key.rpartition(".")
    node = OmegaConf.select(config, group, default=None)
    return isinstance(node, DictConfig) and OmegaConf.is_missing(node, name)


def _require(key: str, value: Any, rule: Rule, reason: Reason) -> None:
    if rule.holds(value):
        return
    if is_too_large(value):
        raise too_large(key, value)
    raise ConfigError(f"{key}={shown(value)}: {rule.words}", key=key, reason=reason)


def shown(value: Any) -> str:
    """A value as a message shows it: texts in quotes, the others as they are written."""
    if isinstance(value, DictConfig | ListConfig):
        value = OmegaConf.to_container(value)
    return repr(value) if isinstance(value, str) else "null" if value is None else str(value)


def _check_types(node: DictConfig, prefix: str) -> None:
    """Values of the groups that verl makes its dataclasses of (_target_), against the types of their fields."""
    typed = _fields_of(node, prefix)
    for name in node:
        key, child = f"{prefix}{name}", node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none() and not child._is_interpolation():
            _check_types(child, f"{key}.")
            continue
        if key in TABLE or name not in typed or OmegaConf.is_missing(node, name):
            continue
        value = node[name]
        if not isinstance(value, DictConfig):
            for rule, reason in typed[name]:
                _require(key, value, rule, reason)


def _fields_of(node: DictConfig, prefix: str) -> dict[str, list[tuple[Rule, Reason]]]:
    target = node.get("_target_")
    if not isinstance(target, str):
        return {}
    try:
        found = get_class(target)
    except (HydraException, ImportError, ValueError) as error:
        words = f"{prefix}_target_={target}: verl's config names a class that cannot be imported: {error}"
        raise ConfigError(words, key=f"{prefix}_target_", reason="file") from error
    return _rules_of(found) if is_dataclass(found) else {}


@cache  # the config has several groups of a class, and reading its types is half of this check
def _rules_of(kind: type) -> dict[str, list[tuple[Rule, Reason]]]:
    """The rules of each field: of its type, and not to be below 0 where verl's own value is a number that is not."""
    hints, found = get_type_hints(kind), {}
    for field in fields(kind):
        if (rule := _rule_of(hints[field.name])) is not None:
            found[field.name] = [(rule, "type")]
            if is_number(field.default) and field.default >= 0:
                found[field.name].append((NOT_NEGATIVE, "range"))
    return found


def _rule_of(hint: Any) -> Rule | None:
    """The rule of a field's type; None for types that are no simple ones."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return optional(KINDS[kinds[0]]) if len(kinds) == 1 and kinds[0] in KINDS else None
    # verl's yaml has null in fields that are not optional by their type.
    return optional(KINDS[hint]) if hint in KINDS else None
