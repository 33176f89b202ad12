"""The rooms of the package and which may import which, read from the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "verl_dots"
HEAVY = {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}
# room -> (rooms that it may import, packages that it must not). A room is a module or folder of the package.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "data": ({"files"}, HEAVY),
    "difficulty": ({"data", "files", "guard", "settings", "state"}, {"ray", "verl", "hydra"}),
    "difficulty/collect": ({"guard", "labelling"}, HEAVY),  # a command of the room above
    "labelling": (
        {"data", "files", "generation", "journal", "launch", "settings", "training"},
        {"torch", "ray", "verl", "pandas"},
    ),
    "evaluation": (
        {"checkpoints", "data", "files", "generation", "journal", "reporting", "rewards", "settings"},
        HEAVY,
    ),
    # Its command line and config, and verl's merger.
    "evaluation/configure": ({"evaluation", "generation", "launch", "settings"}, HEAVY - {"omegaconf"}),
    "evaluate": (
        {"data", "evaluation", "generation", "guard", "launch", "settings", "training"},
        {"torch", "ray", "verl", "hydra", "pandas"},
    ),
    "engines": ({"rollout"}, {"pandas", "matplotlib"}),
    "generation": ({"data", "engines", "rewards", "settings", "training"}, {"pandas", "matplotlib"}),
    "training": (
        {"bridge", "checkpoints", "config", "data", "difficulty", "files", "methods", "settings", "state"},
        {"pandas", "matplotlib"},
    ),
    "launch": (
        {"config", "console", "data", "difficulty", "engines", "files", "generation", "methods", "rewards", "settings"}
        | {"training"},
        {"pandas", "matplotlib"},
    ),
    "check": ({"data", "files", "reporting", "rewards"}, {"torch", "ray", "verl", "hydra"}),
    "main": ({"engines", "guard", "launch", "settings"}, set()),
    "files": (set(), HEAVY),
    "state": ({"files"}, HEAVY),
    "checkpoints": ({"files", "state"}, HEAVY),
    "journal": ({"settings"}, HEAVY),
    "evaluation/merging": ({"settings"}, {"ray", "hydra", "omegaconf", "pandas"}),
    "guard": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas", "numpy", "rich"}),
    "console": ({"guard"}, HEAVY),
    "settings": (set(), HEAVY),
    "config": (
        {"difficulty", "methods", "settings"},
        HEAVY,
    ),
    "rewards": (set(), {"torch", "ray", "transformers", "pandas", "hydra"}),
    "rollout": (set(), {"ray", "verl", "pandas", "hydra", "omegaconf"}),
    "reporting": (set(), {"torch", "ray", "verl", "transformers", "hydra"}),
    "step": (set(), HEAVY),
    "bridge": ({"methods", "step", "training"}, {"pandas", "matplotlib"}),
    "methods": (
        {"bridge", "config", "difficulty", "settings", "state", "step", "training"},
        {"pandas", "matplotlib"},
    ),
    "report": ({"files", "reporting"}, {"torch", "ray", "verl"}),
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
