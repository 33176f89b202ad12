"""Mutants of a small module: what its tests notice and what they do not."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.mutants import mutants_of

MODULE = '''
"""Prices."""


class Price:
    def __init__(self, net: float):
        self.net = net

    def gross(self, tax: float, free: bool = False) -> float:
        """With tax, unless it is free."""
        return self.net if free else self.net + tax
'''
TEST = """
from price import Price


def test_tax():
    assert Price(5.0).gross(0.5) == 5.5
"""


def test_the_changes_of_a_file(tmp_path):
    (tmp_path / "price.py").write_text(MODULE)
    assert [(mutant.line, mutant.change) for mutant in mutants_of(tmp_path / "price.py")] == [
        (6, "raise in __init__"),
        (7, "dropped: self.net = net"),
        (9, "raise in gross"),
        (9, "return -(self.net if free else self.net + tax)"),
        (9, "False to True"),
        (11, "if not (free)"),
        (11, "self.net + tax: Add to Sub"),
    ]


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("x = a < b", ["x = a >= b"]),
        ("x = a in b", ["x = a not in b"]),
        ("x = not a", ["x = a"]),
        ("x = -a * b", ["x = -a / b", "x = a * b"]),
        ("x += 1", ["x -= 1", "x += 2"]),
        ("x = a and b", ["x = a or b"]),
        ("if a:\n    f(b)", ["if not a:\n    f(b)", "if a:\n    pass"]),
        ("x = [a for a in b if a]", ["x = [a for a in b if not a]"]),
        ("x = zip(a, strict=True)", []),
        ("x: 'int' = a.b", []),
    ],
)
def test_each_change_alone(tmp_path, source, changes):
    (tmp_path / "one.py").write_text(source)
    assert sorted(ast.unparse(mutant.tree) for mutant in mutants_of(tmp_path / "one.py")) == sorted(changes)


def test_what_no_test_notices_is_told(tmp_path):
    (tmp_path / "price.py").write_text(MODULE)

    def told(test):
        (tmp_path / "test_price.py").write_text(test)
        command = [sys.executable, "-m", "scripts.mutate_stages", "price.py", "--tests", "test_price.py"]
        environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "COLUMNS": "80"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout

    status, out = told(TEST)
    assert status == 0 and "price.py │ 7       │ 7       │ 100.0%" in out
    # A tax of 0 tells neither its sign nor whether it was added.
    status, out = told(TEST.replace("5.5", "5.0").replace("0.5", "0.0"))
    assert status == 1 and "price.py │ 7       │ 4       │ 57.1%" in out
    assert out.splitlines()[-3:] == [
        "price.py:9: False to True",
        "price.py:11: if not (free)",
        "price.py:11: self.net + tax: Add to Sub",
    ]
