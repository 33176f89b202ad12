"""A small matrix of runs, as its files have it."""

from pathlib import Path

import yaml

from scripts.reproduce.matrix import Matrix
from scripts.reproduce.matrix_file import read_matrix

COMBINATION = {
    "title": "t", "model": "models/m", "data": "data/d", "learning_rate": 1.2e-4, "batch": 8, "steps": 30,
    "test_freq": 3, "chosen": "c", "stands_for": "r",
}  # fmt: skip
FILE = {
    "seeds": [1, 2],
    "methods": {"mine": {"recipe": "dots_rr", "overrides": ["a=1"]}, "grpo": {}},
    "time": {"steps": 4, "rounds": 2},
    "combinations": {"one": COMBINATION, "two": COMBINATION | {"overrides": ["b=2"], "of_method": {"mine": ["c=3"]}}},
    "quick": {
        "methods": ["grpo"], "combinations": ["two"], "seeds": [7], "steps": 5, "test_freq": 1,
        "time": {"steps": 3, "rounds": 1},
    },
}  # fmt: skip
INPUTS = {"data/d": {"make": ["make it"], "needs": ["models/m"]}, "models/m": {"make": ["make m"]}}


def matrix_of(folder: Path, inputs: object = INPUTS, **changed: object) -> Matrix:
    """The matrix that is read of it, with some entries changed."""
    (folder / "inputs.yaml").write_text(yaml.dump(inputs))
    (folder / "mine.yaml").write_text(yaml.dump(FILE | changed))
    return read_matrix(folder / "mine.yaml")
