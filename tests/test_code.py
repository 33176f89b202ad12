"""The code of the package, the data sets and the scripts: short modules and functions, and one way to write."""

import ast
from pathlib import Path

from tests.source import parsed

ROOT = Path(__file__).parents[1]
MOST_LINES, MOST_FUNCTION_LINES = 250, 60
FILES = sorted(file for name in ("verl_dots", "data_prep", "scripts") for file in (ROOT / name).rglob("*.py"))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def long_functions(source: str) -> list[str]:
    """Names of the functions and methods with more lines than they may have, from `def` to the last."""
    found = [node for node in ast.walk(parsed(source)) if isinstance(node, FUNCTIONS)]
    return [node.name for node in found if node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES]


def prints(source: str) -> list[int]:
    """Lines that call `print`."""
    calls = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def reads_of_json(source: str) -> list[int]:
    """Lines that use `json.load` or `json.loads`."""
    uses = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Attribute)]
    return [use.lineno for use in uses if ast.unparse(use) in ("json.load", "json.loads")]


def test_a_long_function_is_named_wherever_it_is():
    lines = "\n".join(["        pass"] * MOST_FUNCTION_LINES)
    assert long_functions(f"class A:\n    async def one(self):\n{lines}\n") == ["one"]
    shorter = lines.removesuffix("\n        pass")
    assert long_functions(f"class A:\n    def one(self):\n{shorter}\n") == []


def test_print_is_told_from_the_methods_of_that_name():
    assert prints("console.print(1)\nx = print\nif x:\n    print(2)\n") == [4]


def test_modules_are_short():
    lines = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in FILES}
    assert len(lines) > 250
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_functions_are_short():
    assert {str(file.relative_to(ROOT)): names for file in FILES if (names := long_functions(file.read_text()))} == {}


def test_nothing_prints():
    """Commands write to `verl_dots.terminal`, all else to the log."""
    assert {str(file.relative_to(ROOT)): lines for file in FILES if (lines := prints(file.read_text()))} == {}


def test_reads_of_json_are_found():
    assert reads_of_json("import json\na = json.loads(b)\njson.dumps(a)\nc = map(json.load, d)\n") == [2, 4]


def test_json_from_disk_is_read_by_one_function():
    """`files.parse_json` raises ValueError for all that is wrong with it. Processes of ours tell each other no more."""
    rooms = {str(file.relative_to(ROOT)) for file in FILES if file.is_relative_to(ROOT / "verl_dots")}
    found = {name for name in rooms if reads_of_json((ROOT / name).read_text())}
    assert found == {"verl_dots/files.py", "verl_dots/guard.py", "verl_dots/processes/warm_workers.py"}
