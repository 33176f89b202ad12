"""The rooms of the package and which may import which, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "verl_dots"
# room -> (rooms that it may import, packages that it must not). A room is a module or folder of the package.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "question_rows": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "questions": ({"question_rows"}, {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "files": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "state": ({"files"}, {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "checkpoints": ({"files", "state"}, {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "journal": ({"settings"}, {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "difficulty": (
        {"files", "guard", "journal", "questions", "settings", "state"},
        {"ray", "verl", "hydra"},
    ),
    # The command line that drives verl's engines.
    "difficulty/collect": (
        {
            "difficulty",
            "files",
            "guard",
            "generation",
            "journal",
            "launch",
            "main",
            "questions",
            "settings",
            "training",
        },
        {"ray", "verl"},
    ),
    "evaluation": (
        {"checkpoints", "difficulty", "files", "journal", "questions", "reporting", "rewards", "settings"},
        {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"},
    ),
    # Its command line and config, and verl's merger.
    "evaluation/configure": (
        {"difficulty", "evaluation", "generation", "launch", "main", "settings"},
        {"torch", "ray", "verl", "transformers", "pandas"},
    ),
    "evaluation/merging": ({"settings"}, {"ray", "hydra", "omegaconf", "pandas"}),
    "evaluate": (
        {"difficulty", "evaluation", "generation", "guard", "launch", "settings", "training"},
        {"torch", "ray", "verl", "hydra", "pandas"},
    ),
    "guard": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas", "numpy", "rich"}),
    "console": ({"guard"}, {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "settings": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "config": (
        {"difficulty", "methods", "settings"},
        {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"},
    ),
    "rewards": (set(), {"torch", "ray", "transformers", "pandas", "hydra"}),
    "rollout": (set(), {"ray", "verl", "pandas", "hydra", "omegaconf"}),
    "reporting": (set(), {"torch", "ray", "verl", "transformers", "hydra"}),
    "step": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "bridge": ({"methods", "step", "training"}, {"pandas", "matplotlib"}),
    "methods": (
        {"bridge", "config", "difficulty", "settings", "state", "step", "training"},
        {"pandas", "matplotlib"},
    ),
    "engines": ({"rollout"}, {"pandas", "matplotlib"}),
    "generation": ({"launch", "rewards", "settings", "training"}, {"pandas", "matplotlib"}),
    "training": (
        {"bridge", "checkpoints", "config", "difficulty", "files", "methods", "questions", "settings", "state"},
        {"pandas", "matplotlib"},
    ),
    "launch": (
        {"config", "console", "data_check", "data_report", "data_types", "difficulty", "files", "generation"}
        | {"methods", "question_rows", "questions", "rewards", "settings", "training"},
        {"pandas", "matplotlib"},
    ),
    "data_check": (
        {"data_report", "question_rows", "questions"},
        {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"},
    ),
    "data_report": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "data_types": ({"question_rows"}, {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}),
    "data_cleaning": (
        {"files", "question_rows"},
        {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"},
    ),
    "check": (
        {"data_check", "data_cleaning", "data_report", "data_types", "files", "questions", "reporting", "rewards"},
        {"torch", "ray", "verl", "hydra"},
    ),
    "report": ({"files", "reporting"}, {"torch", "ray", "verl"}),
    "main": ({"config", "guard", "launch", "settings"}, set()),
    "conf": (set(), set()),
    "__init__": (set(), set()),
}


def imports(file: Path) -> set[str]:
    """Dotted names that a file imports, at the top or inside functions; relative imports are refused."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(file: Path) -> str:
    name = str(file.relative_to(PACKAGE)).removesuffix(".py")
    return name if name in ROOMS else name.split("/")[0]


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_folder_is_a_package():
    """Else an installation that is not editable leaves it out."""
    assert [folder for folder in {file.parent for file in FILES} if not (folder / "__init__.py").is_file()] == []


def test_every_file_is_in_a_known_room():
    assert {room_of(file) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(file):
    allowed, forbidden = ROOMS[room_of(file)]
    found = imports(file)
    own = {name.split(".")[1] for name in found if name.startswith("verl_dots.")}
    assert own <= allowed | {room_of(file)}
    assert not {name.split(".")[0] for name in found} & forbidden


def test_importing_the_package_is_free():
    code = "import sys, verl_dots; print(*sorted({'torch', 'ray', 'verl', 'numpy', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def private_uses(file: Path) -> set[str]:
    """Private methods of verl's trainer that the classes of a file define over verl's, or call."""
    from verl.trainer.ppo.v1 import PPOTrainerSync

    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ClassDef):
            names |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return {name for name in names & set(dir(PPOTrainerSync)) if name.startswith("_") and not name.startswith("__")}


def test_nothing_but_the_bridge_knows_verls_queue_and_private_methods():
    """A trainer's whole step is its own; all else of the kind is behind the bridge, where a table names it."""
    found = set()
    for file in FILES:
        if room_of(file) == "bridge":
            continue
        names = private_uses(file) | {name for name in imports(file) if name.startswith("transfer_queue")}
        if "KVBatchMeta" in file.read_text():
            names.add("KVBatchMeta")
        found |= {(str(file.relative_to(PACKAGE)), name) for name in names}
    assert found == {("training/trainer.py", "_step_once")}
