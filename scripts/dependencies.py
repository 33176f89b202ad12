"""The table of direct dependencies in scripts/DEPENDENCIES.md.

    python -m scripts.dependencies [--write [--advisories CLONE]]

Direct are the packages that setup.py requires, those that install_gpu.sh adds, and those that the code imports though
only others require them.
Versions and licences are those of this environment. Without --write: exit 1 if the packages or pins have changed since.
CLONE is one of github.com/pypa/advisory-database: known advisories are looked up there, without a network.
"""

import argparse
import ast
import datetime
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from scripts import sections
from scripts.advisories import told_of

ROOT = Path(__file__).parents[1]
DOCUMENT, SECTION, SCRIPT = ROOT / "scripts/DEPENDENCIES.md", "dependencies", "python -m scripts.dependencies"
CODE = ("verl_dots", "data_prep")
THROUGH, NOT_HERE = "through others", "not installed here"
# What pip cannot install as an extra, and install_gpu.sh does: the file that has the version, and where in it.
BY_SCRIPTS = {
    "flash-attn": ("scripts/flash_attn.sh", r"^VERSION=(\S+)$"),
    "sglang": ("recipes/locks/sglang.txt", r"^sglang==(\S+)$"),
}
# What each is for; a package that is not here is refused.
PURPOSES = {
    "cachetools": "imported by verl's trainer",
    "datasets": "reads the data files as verl does",
    "fastapi": "imported by verl's rollout servers",
    "flash-attn": "attention on GPUs",
    "httpx": "the judge's endpoint",
    "huggingface-hub": "data sets and models of the hub",
    "hypothesis": "the tests: inputs that nobody thought of",
    "hydra-core": "the command line's overrides",
    "jinja2": "chat templates",
    "math-verify": "a second opinion in grading",
    "matplotlib": "figures",
    "packaging": "compares versions with pins",
    "peft": "LoRA adapters, looked at before a run",
    "mpmath": "special functions in grading",
    "msgspec": "imported by the TransferQueue",
    "numpy": "arrays",
    "omegaconf": "the config",
    "orjson": "imported by verl's trainer",
    "pandas": "label files",
    "pebble": "grading processes with a time limit",
    "psutil": "processes below a command",
    "pyarrow": "parquet files",
    "pytest": "tests",
    "pytest-timeout": "a limit for each test",
    "pytest-xdist": "tests in parallel",
    "pyyaml": "config files of run folders",
    "pyzmq": "imported by the TransferQueue",
    "ray": "processes of a run",
    "rich": "tables in the terminal",
    "safetensors": "weights and states, without pickle",
    "scipy": "statistics of reports",
    "sglang": "a rollout engine",
    "tensorboard": "a tracker",
    "tensordict": "batches of verl",
    "tokenizers": "the tokenizer of tiny models",
    "torch": "models and training",
    "torchaudio": "imported by the engines on GPUs",
    "torchvision": "imported by the engines on GPUs",
    "tqdm": "progress bars",
    "transferqueue": "rollouts between verl's processes",
    "transformers": "models and tokenizers",
    "uvicorn": "imported by verl's rollout servers",
    "verl": "the trainer that this package extends",
    "vllm": "a rollout engine",
}


def name_of(package: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def required(setup: str) -> dict[str, str]:
    """Packages of a setup.py -> their versions as it asks for them, and of which extra."""
    calls = [node for node in ast.walk(ast.parse(setup)) if isinstance(node, ast.Call)]
    words = {word.arg: word.value for call in calls for word in call.keywords}
    groups = {"": ast.literal_eval(words["install_requires"]), **ast.literal_eval(words["extras_require"])}
    found: dict[str, str] = {}
    for extra, requirements in groups.items():
        for one in map(Requirement, requirements):
            told = " ".join(filter(None, (str(one.specifier), f"[{extra}]" if extra else "")))
            before = found.get(name_of(one.name))
            found[name_of(one.name)] = f"{before}, {told}" if before else told
    return found


def by_scripts(root: Path) -> dict[str, str]:
    """Packages that only scripts install -> their versions there, and the file that names them."""
    found = {}
    for name, (file, place) in BY_SCRIPTS.items():
        version = re.search(place, (root / file).read_text(), re.MULTILINE)
        if version is None:
            raise SystemExit(f"{SCRIPT}: {file} names no version of {name}; mend BY_SCRIPTS")
        found[name] = f"=={version[1]} [{file}]"
    return found


def imported(root: Path) -> set[str]:
    """Packages that the code imports, without those of this project and of Python.

    One that is not installed here is found where its package has the same name and a purpose.
    """
    tops = set()
    for file in (file for folder in CODE for file in (root / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                tops |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                tops.add(node.module.partition(".")[0])
    known = metadata.packages_distributions()
    foreign = {top for top in tops if top not in sys.stdlib_module_names and top not in (*CODE, "scripts", "tests")}
    absent = {name_of(top) for top in foreign if top not in known}
    return {name_of(known[top][0]) for top in foreign if top in known} | (absent & set(PURPOSES))


def licence_of(about: metadata.PackageMetadata) -> str:
    """An expression, else the classifier, else the beginning of the text."""
    classes = [kind.rpartition(" :: ")[2] for kind in about.get_all("Classifier", []) if kind.startswith("License")]
    text = (about.get("License") or "").strip().splitlines()
    short = text[0] if text and len(text[0]) <= 30 else ""
    return about.get("License-Expression") or short or ", ".join(classes) or "not told"


def keeper_of(about: metadata.PackageMetadata) -> str:
    """Author or maintainer, without addresses; else where the source is."""
    for field in ("Author", "Maintainer", "Author-email", "Maintainer-email"):
        names = [
            re.sub(r"<.*?>|\(.*?\)|\S+@\S+| with the help of all our contributors", "", part).strip(' "')
            for part in (about.get(field) or "").split(",")
        ]
        if names := [name for name in names if name]:
            return names[0] + (" and others" if len(names) > 1 else "")
    links = [link.partition(", ")[2] for link in about.get_all("Project-URL", []) if "source" in link.lower()]
    return links[0].removeprefix("https://") if links else "not told"


def rows() -> list[list[str]]:
    """Name, version asked for, version here, purpose, keeper and licence of each package, by name."""
    asked = required((ROOT / "setup.py").read_text()) | by_scripts(ROOT)
    asked |= dict.fromkeys(imported(ROOT) - set(asked), THROUGH)
    found = []
    for name in sorted(asked):
        if name not in PURPOSES:
            raise SystemExit(f"{SCRIPT}: say in PURPOSES what {name} is for")
        try:
            about = metadata.metadata(name)
            here = [metadata.version(name), PURPOSES[name], keeper_of(about), licence_of(about)]
        except metadata.PackageNotFoundError:
            here = [NOT_HERE, PURPOSES[name], "not looked up", "not looked up"]
        found.append([name, asked[name] or "any", *here])
    return found


def table(found: Sequence[Sequence[str]], date: str, advisories: str) -> str:
    """The rows as markdown, with their date and what is told of advisories."""
    head = ["package", "asked for", "version", "for", "kept by", "licence"]
    return f"Seen on {date}. {advisories}\n\n{sections.table(head, found)}"


def told(document: str) -> list[list[str]]:
    """Name and version asked for of each row of a document."""
    section = document.partition(sections.begin_of(SECTION, SCRIPT))[2].partition(sections.end_of(SECTION))[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [row[:2] for row in cells[1:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table with today's date, or compare its packages and pins."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.dependencies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the document's table (default: compare)")
    parser.add_argument("--advisories", type=Path, help="with --write: the clone (default: they are not looked up)")
    options = parser.parse_args(arguments)
    found = rows()
    if not options.write:
        return int([row[:2] for row in found] != told(DOCUMENT.read_text()))
    today = datetime.date.today().isoformat()
    known = "Advisories were not looked up."
    if options.advisories:
        known = told_of(options.advisories, {row[0]: row[2] for row in found if row[2] != NOT_HERE})
    text = sections.with_section(DOCUMENT, SECTION, SCRIPT, table(found, today, known))
    return sections.settle(DOCUMENT, text, write=True)


if __name__ == "__main__":
    raise SystemExit(main())
