"""The rooms of the package and which may import which, read from the source."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.source import parsed

PACKAGE = Path(__file__).parents[1] / "verl_dots"
HEAVY = {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas"}
UNUSED = {"pandas", "matplotlib"}
# room -> (rooms that it may import, packages that it must not). A room is a module or folder of the package.
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    # Data types and settings.
    "step": (set(), HEAVY),
    "stored": ({"settings", "state_values"}, HEAVY),
    "settings": (set(), HEAVY),
    "secrets": (set(), HEAVY),
    "pickles": ({"settings"}, HEAVY - {"torch"}),
    "sizes": (set(), HEAVY),
    "methods/settings": ({"settings"}, HEAVY),  # every room's settings.py
    "config": ({"difficulty", "methods", "settings"}, HEAVY),
    "data": ({"files", "settings", "texts"}, HEAVY),
    "difficulty": (
        {"data", "files", "guard", "hub", "settings", "state", "state_values", "step", "terminal"},
        {"ray", "verl", "hydra"},
    ),
    "difficulty/collect": ({"guard", "labelling"}, HEAVY),  # a command of the room above
    # A step.
    "bridge": ({"data", "difficulty", "rewards", "step", "stored"}, UNUSED),
    "methods": (
        {"bridge", "config", "data", "difficulty", "settings", "state", "state_values", "step", "stored"},
        UNUSED | {"transfer_queue", "ray"},
    ),
    "methods/selection/worker": ({"difficulty"}, UNUSED | {"transfer_queue"}),  # a process of its own
    "training": (
        {
            "bridge",
            "checkpoints",
            "config",
            "data",
            "files",
            "manifest",
            "methods",
            "model_files",
            "pickles",
            "secrets",
            "settings",
            "sizes",
            "state",
            "state_values",
            "step",
        },
        UNUSED | {"transfer_queue"},
    ),
    # Responses without training.
    "processes": (set(), UNUSED | {"verl", "transfer_queue"}),  # before verl is imported
    "engines": ({"rollout"}, UNUSED),
    "generation": ({"bridge", "data", "model_files", "processes", "rewards", "settings"}, UNUSED),
    "labelling": (
        {"data", "files", "generation", "journal", "launch", "settings", "terminal", "training"},
        {"torch", "ray", "verl", "pandas"},
    ),
    "evaluation": (
        {"checkpoints", "data", "files", "generation", "journal", "model_files", "rewards", "settings", "texts"},
        HEAVY,
    ),
    # Its command line and config, and verl's merger.
    "evaluation/configure": ({"evaluation", "generation", "launch", "settings"}, HEAVY - {"omegaconf"}),
    # Commands.
    "evaluate": (
        {"data", "evaluation", "files", "generation", "guard", "launch", "settings", "terminal", "training"},
        {"torch", "ray", "verl", "hydra", "pandas"},
    ),
    "launch": (
        {
            "config",
            "console",
            "data",
            "engines",
            "files",
            "generation",
            "hub",
            "methods",
            "processes",
            "rewards",
            "settings",
            "sizes",
            "training",
        },
        UNUSED | {"transfer_queue"},
    ),
    "doctor": (
        {
            "config",
            "data",
            "difficulty",
            "files",
            "generation",
            "hub",
            "guard",
            "launch",
            "processes",
            "reporting",
            "rollout",
            "settings",
            "sizes",
            "terminal",
            "training",
        },
        {"ray", "verl", "pandas", "matplotlib", "transfer_queue"},
    ),
    "check": ({"data", "files", "rewards", "terminal", "texts"}, {"torch", "ray", "verl", "hydra"}),
    "main": ({"guard", "launch", "processes", "settings"}, set()),
    "files": ({"settings"}, HEAVY),
    "hub": ({"files", "settings"}, HEAVY),
    "state": ({"files", "settings"}, HEAVY),
    "state_values": ({"settings", "state"}, HEAVY),
    "manifest": ({"files"}, HEAVY),
    "model_files": ({"files", "manifest"}, HEAVY),
    "checkpoints": ({"files", "manifest", "model_files", "state"}, HEAVY),
    "journal": ({"files", "settings"}, HEAVY),
    "evaluation/merging": ({"files", "pickles", "settings"}, {"ray", "hydra", "omegaconf", "pandas"}),
    "guard": (set(), {"torch", "ray", "verl", "transformers", "hydra", "omegaconf", "pandas", "numpy", "rich"}),
    "console": ({"files", "guard", "secrets", "terminal", "texts"}, HEAVY),
    "terminal": (set(), HEAVY),
    "texts": (set(), HEAVY),
    "rewards": (set(), {"torch", "ray", "transformers", "pandas", "hydra"}),
    "rollout": (set(), {"ray", "verl", "pandas", "hydra", "omegaconf"}),
    "reporting": ({"files", "settings", "texts"}, {"torch", "ray", "verl", "transformers", "hydra"}),
    "report": ({"files", "reporting", "terminal"}, {"torch", "ray", "verl"}),
    "simulation": (
        {"config", "data", "difficulty", "launch", "methods", "reporting", "settings", "step", "stored"},
        {"torch", "ray", "verl", "transformers", "hydra", "pandas"},
    ),
    "simulate": (
        {"files", "reporting", "settings", "simulation", "terminal"},
        {"torch", "ray", "verl", "transformers", "hydra", "pandas"},
    ),
    "evidence": (
        {"files", "reporting", "settings", "terminal", "texts"},
        {"torch", "ray", "verl", "transformers", "hydra"},
    ),
    "conf": (set(), set()),
    "__init__": (set(), set()),
}


def imports(file: Path) -> set[str]:
    """Dotted names that a file imports, at the top or inside functions; relative imports are refused."""
    names = set()
    for node in ast.walk(parsed(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(file: Path) -> str:
    name = str(file.relative_to(PACKAGE)).removesuffix(".py")
    if file.parent.parent.name == "methods" and file.name == "settings.py":
        return "methods/settings"
    return name if name in ROOMS else name.split("/")[0]


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_folder_is_a_package():
    """Else an installation that is not editable leaves it out."""
    assert [folder for folder in {file.parent for file in FILES} if not (folder / "__init__.py").is_file()] == []


MAPPED = 10  # more modules than these need a map


def modules_named(docstring: str) -> set[str]:
    """Modules of a room's map: what is named `x.py`, without a folder before it."""
    return set(re.findall(r"(?<![\w/])(\w+)\.py\b", docstring))


def test_modules_of_a_map_are_found():
    text = "One.\n\n    rows.py       read; run_info.py: written\n\n`python -m a.b` starts verl_dots/c/d.py.\n"
    assert modules_named(text) == {"rows", "run_info"}


@pytest.mark.parametrize(
    "room",
    sorted({str(file.parent.relative_to(PACKAGE)) for file in FILES} - {"."}),
)
def test_a_rooms_map_names_its_modules_and_no_others(room):
    """`__main__` is named by its command line."""
    folder = PACKAGE / room
    docstring = ast.get_docstring(parsed((folder / "__init__.py").read_text())) or ""
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "__main__"}
    if named := modules_named(docstring):
        assert named == modules
    else:
        assert len(modules) <= MAPPED


def test_every_file_is_in_a_known_room():
    assert {room_of(file) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(file):
    allowed, forbidden = ROOMS[room_of(file)]
    found = imports(file)
    own = {name.split(".")[1] for name in found if name.startswith("verl_dots.")}
    assert own <= allowed | {room_of(file).split("/")[0]}
    assert not {name.split(".")[0] for name in found} & forbidden


def arrows(text: str) -> dict[str, set[str]]:
    """Room -> what it imports, of lines such as `a, b -> c, d/e.py;  f -> a`."""
    found: dict[str, set[str]] = {}
    for left, right in re.findall(r"([\w/., ]+?) *-> ([\w/.*, ]+)", text):
        for room in left.split(","):
            names = {name.split("/")[0].strip() for name in right.split(",")}
            found.setdefault(room.split("/")[0].strip(), set()).update(names)
    return found


def test_arrows_are_read():
    assert arrows("a, b -> c, d/*/e.py\nc -> d;  c/x.py -> a\n") == {"a": {"c", "d"}, "b": {"c", "d"}, "c": {"d", "a"}}


def test_the_document_has_the_arrows_that_there_are():
    """Those to folders and to `config`; modules of their own are needed by many."""
    rooms = {folder.name for folder in PACKAGE.iterdir() if folder.is_dir()} | {"config"}
    found: dict[str, set[str]] = {}
    for file in FILES:
        room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        others = {name.split(".")[1] for name in imports(file) if name.startswith("verl_dots.")} & rooms - {room}
        found.setdefault(room, set()).update(others)
    block = re.search(r"^## Arrows$.*?^```text\n(.*?)^```", (PACKAGE / "README.md").read_text(), re.M | re.S)[1]
    assert arrows(block) == {room: others for room, others in found.items() if others}


# Inside the bridge the trainer reads and writes the queue, whose rows the agent loop workers have made. Inside the
# rewards a text is read to an answer, and answers are compared.
INSIDE = {
    "bridge": {"agents": set(), "queue": {"agents"}, "trainer": {"agents", "queue"}, "contract": set()},
    "rewards": {
        "expressions": set(),
        "units": set(),
        "answers": {"expressions"},
        "text": set(),
        "reading": {"answers", "expressions", "text", "units"},
        "comparing": {"answers", "expressions", "units"},
    },
}


@pytest.mark.parametrize(("outer", "room"), [(outer, room) for outer, rooms in INSIDE.items() for room in rooms])
def test_imports_follow_the_arrows_inside_a_room(outer, room):
    names = {name for file in (PACKAGE / outer / room).glob("*.py") for name in imports(file)}
    found = {name.split(".")[2] for name in names if name.startswith(f"verl_dots.{outer}.")}
    assert found <= INSIDE[outer][room] | {room}
    assert {file.parent.name for file in (PACKAGE / outer).glob("*/*.py")} == set(INSIDE[outer])


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "methods").glob("*/*.py")), ids=lambda file: "/".join(file.parts[-2:])
)
def test_a_method_knows_no_other(file):
    """But the names and settings of GRPO-RR, which is the loss of all that trains on older rollouts."""
    rooms = {folder.name for folder in (PACKAGE / "methods").iterdir() if folder.is_dir()}
    others = {name for name in imports(file) if not name.startswith("verl_dots.methods.replay.settings.")}
    found = {name.split(".")[2] for name in others if name.startswith("verl_dots.methods.")}
    assert found & rooms <= {file.parent.name}


@pytest.mark.parametrize(
    ("module", "later"),
    [
        ("", {"torch", "ray", "verl", "numpy", "transformers"}),
        (".launch.help", {"torch", "ray", "verl", "hydra", "transformers"}),  # it comes at once
        # verl picks its platform, and logs, as it is imported: a command sets the environment before.
        *((f".{name}", {"ray", "verl", "transfer_queue"}) for name in ("main", "evaluate", "labelling.command")),
        *(
            (f".{name}", {"ray", "verl", "transfer_queue"})
            for name in ("check", "report", "simulate", "doctor.__main__")
        ),
    ],
)
def test_what_an_import_leaves_for_later(module, later):
    code = f"import sys, verl_dots{module}; print(*sorted({later} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def private_uses(file: Path) -> set[str]:
    """Private methods of verl's trainer that the classes of a file define over verl's, or call."""
    from verl.trainer.ppo.v1 import PPOTrainerSync

    names = set()
    for node in ast.walk(parsed(file.read_text())):
        if isinstance(node, ast.ClassDef):
            names |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return {name for name in names & set(dir(PPOTrainerSync)) if name.startswith("_") and not name.startswith("__")}


@pytest.mark.usefixtures("cpu_environment")
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
