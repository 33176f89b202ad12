"""Errors reach the process that tells them: Ray and process pools pickle what is raised in another one."""

import ast
import builtins
import inspect
import pickle
from importlib import import_module
from pathlib import Path

import pytest

from tests.source import parsed

ROOT = Path(__file__).parents[1]
FILES = sorted(file for name in ("verl_dots", "data_prep", "scripts") for file in (ROOT / name).rglob("*.py"))
BY_PYTHON = {
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
}


def errors_with_init() -> list[tuple[str, str]]:
    """(module, class) of each error that takes other arguments than a message."""
    classes = [
        (".".join(file.relative_to(ROOT).with_suffix("").parts), node)
        for file in FILES
        for node in ast.walk(parsed(file.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    errors, before = set(BY_PYTHON), 0
    while len(errors) > before:
        before = len(errors)
        errors |= {node.name for _, node in classes if {ast.unparse(base) for base in node.bases} & errors}
    return [(module, node.name) for module, node in classes if node.name in errors and has_init(node)]


def has_init(node: ast.ClassDef) -> bool:
    return any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body)


@pytest.mark.parametrize("module, name", errors_with_init())
def test_an_error_is_the_same_behind_a_border_of_processes(module, name):
    kind = getattr(import_module(module), name)
    parameters = list(inspect.signature(kind).parameters.values())
    given = [f"the {part.name}" for part in parameters if part.kind is not part.KEYWORD_ONLY]
    named = {part.name: f"the {part.name}" for part in parameters if part.kind is part.KEYWORD_ONLY}
    error = kind(*given, **named)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error) != ""
    assert vars(again) == vars(error)
