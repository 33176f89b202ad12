"""The documents: short, plain, and true of the tree that they stand in."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts import metrics_table, sections
from verl_dots.config import PRESETS, DotsConfig
from verl_dots.data.checks import check_files
from verl_dots.launch.compose import compose
from verl_dots.rewards import compute
from verl_dots.settings import settings_table

ROOT = Path(__file__).parents[1]
MOST_LINES, MOST_WORDS = 150, 25
BANNED = re.compile(r"\b(goes|hangs?)\b", re.IGNORECASE)
# Files of a run, of verl or of the user, that documents name.
OTHERS = {"config.yaml", "evaluation.md", "report.md", "ppo_trainer.yaml", "my_reward.py"}
PLACES = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
MADE = {"data", "models", "runs", "report", "outputs", "tensorboard_log"}  # by a run; git ignores them
FOLDERS = [ROOT / name for name in ("data_prep", "recipes", "scripts", "tests", "verl_dots")]
DOCUMENTS = [ROOT / "README.md", *sorted(path for folder in FOLDERS for path in folder.rglob("*.md"))]
SENTENCE = re.compile(r"(?<=[.?!])[\"')]*\s+(?=[A-Z0-9\"'(`|[])")


def each(documents: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", documents, ids=lambda path: str(path.relative_to(ROOT)))


every_document = each(DOCUMENTS)
# Of sections of documents, and of a whole one.
NAMES = (
    "config_table", "draft_savings", "kill_table", "metrics_table", "paper_settings", "recipe_needs", "savings_results",
    "reproduce.results",
)  # fmt: skip
SCRIPTS = [import_module(f"scripts.{name}") for name in NAMES]


def fenced(text: str) -> str:
    """What stands in fences, with the lines that go on joined."""
    return "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")


def prose(text: str) -> str:
    """The text without fences and comments."""
    return re.sub(r"^```.*?^```|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)


def sentences(text: str) -> Iterator[str]:
    """Sentences outside of fences, tables and headings; code is one word."""
    block = ""
    for line in [*prose(text).splitlines(), ""]:
        item = re.match(r"\s*([-*]|\d+\.) ", line)
        if not line.strip() or line.startswith(("|", "#")) or item:
            yield from SENTENCE.split(block.strip()) if block.strip() else ()
            block = ""
        if line.strip() and not line.startswith(("|", "#")):
            block += " " + (line[item.end() :] if item else line.strip())


def words(sentence: str) -> int:
    plain = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "Code", sentence))
    return sum(any(letter.isalnum() for letter in word) for word in plain.split())


def exists(name: str, document: Path) -> bool:
    return any(any(base.glob(name)) for base in (ROOT, document.parent, ROOT / "verl_dots"))


def test_sentences_are_told_apart_and_counted():
    text = "One two. Three `a b c` [four](x.md).\n\n- Five\n  six\n- Seven\n\n| none |\n\n```bash\nno. No.\n```\n"
    assert list(sentences(text)) == ["One two.", "Three `a b c` [four](x.md).", "Five six", "Seven"]
    assert [words(sentence) for sentence in sentences(text)] == [2, 3, 2, 1]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_LINES


@every_document
def test_sentences_are_plain(document):
    text = document.read_text()
    assert [sentence for sentence in sentences(text) if words(sentence) > MOST_WORDS] == []
    assert [line for line in text.splitlines() if BANNED.search(line)] == []


@every_document
def test_links_and_paths_exist(document):
    text = document.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(text)) if "://" not in link]
    assert [link for link in links if link and not (document.parent / link).exists()] == []
    spans = re.findall(r"`([^`\s]+)`", prose(text))
    scripts = re.findall(r"\b(?:bash|python|sbatch [^\n]*?)\s+([\w./-]+\.(?:sh|py|sbatch))\b", fenced(text))
    in_prose = [word for span in re.findall(r"`([^`]+)`", prose(text)) for word in span.split()]
    paths = [
        name.rstrip("/")
        for name in (*spans, *in_prose)
        if re.fullmatch(r"[\w.*/-]+", name)
        and (name.split("/")[0] in set(PLACES) - MADE or re.search(r"/.*\.(py|sh|md|yaml|sbatch)$", name))
    ]
    files = [name for name in spans if re.fullmatch(r"[\w-]+\.(py|sh|md|sbatch|yaml)", name)]
    assert [name for name in {*paths, *files, *scripts} - OTHERS if not exists(name, document)] == []


@every_document
def test_commands_exist(document):
    text = document.read_text()
    modules = re.findall(r"python -m ([\w.]+)", text)
    unknown = [name for name in modules if not name.rpartition(".")[2].isupper() and not name.endswith(".")]
    assert [name for name in unknown if find_spec(name) is None] == []
    sources = "".join(path.read_text() for folder in FOLDERS for path in folder.rglob("*.py"))
    for line in fenced(text).splitlines():
        if re.match(r"(for .* do )?python (-m (verl_dots|data_prep|scripts)|scripts/)", line):
            options = re.findall(r"\s(--[a-z-]+)", line.split("#")[0])
            assert [option for option in options if f'"{option}"' not in sources] == [], line


@every_document
def test_settings_of_dots_exist(document):
    settings = [key for keys, _, _ in settings_table(DotsConfig, "dots") for key in keys]
    known = {"dots", *settings, *(key.rpartition(".")[0] for key in settings)}
    text = re.sub(r"dots\.\.\.\.\w+", "", document.read_text())  # of a message, shortened
    found = {name.rstrip(".") for name in re.findall(r"(?<![\w./])dots\.[a-z_.]+", text)}
    assert found - known - {"dots.sh"} == set()
    assert set(re.findall(r"dots\.preset=([a-z_0-9]+)", text)) <= set(PRESETS)


@every_document
def test_overrides_are_taken(document):
    """Of training commands, and of the blocks of text that hold further ones."""
    text = document.read_text().replace("\\\n", " ")
    for block in re.findall(r"^```text\n(.*?)^```|^python -m verl_dots.main ([^\n]*)$", text, re.MULTILINE | re.DOTALL):
        overrides = [word for word in "".join(block).split() if re.fullmatch(r"(device|[a-z_]+\.[\w.]+)=\S+", word)]
        if overrides:
            compose(overrides)


def test_every_method_and_recipe_has_its_place():
    rooms = {path.parent.name for path in (ROOT / "verl_dots/methods").glob("*/README.md")}
    linked = set(re.findall(r"verl_dots/methods/(\w+)/README.md", (ROOT / "README.md").read_text()))
    assert len(rooms) > 5 and linked == rooms
    recipes = {path.stem for path in (ROOT / "recipes/cpu").glob("*.sh")} - {"common", "scaling"}
    assert recipes - set(re.findall(r"\w+", (ROOT / "recipes/README.md").read_text())) == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
def test_what_a_script_makes_of_a_document_stands_there(script, cpu_environment):
    assert script.main([]) == 0, f"run python -m {script.__name__} --write"


def test_the_metrics_of_the_trainer_are_told():
    files = [path for room in ("training", "bridge", "methods") for path in (ROOT / "verl_dots" / room).rglob("*.py")]
    logged = {name for path in files for name in re.findall(r'"((?:training|val-aux)/\w+)"', path.read_text())}
    assert len(logged) > 3
    assert {name for name in logged if f"`{name}`" not in metrics_table.DOCUMENT.read_text()} == set()


def test_the_metrics_are_told_without_verls_warnings():
    command = [sys.executable, "-m", "scripts.metrics_table"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_table_of_metrics_names_stage_and_meaning():
    stages = {"filter": {"filter/rows": "Rows with |a| of 0."}, "replay": {"replay/share": "Share."}}
    assert metrics_table.table(stages).splitlines()[2:] == [
        r"| filter | `filter/rows` | Rows with \|a\| of 0. |",
        "| replay | `replay/share` | Share. |",
    ]
    with pytest.raises(ValueError, match="filter/rows"):
        metrics_table.table(stages | {"other": {"filter/rows": "Again."}})


def test_a_table_keeps_its_cells_apart():
    assert sections.table(["a|b", "c"], [["x", "1"], ["y", "|2|"]], "lr") == (
        "| a\\|b | c |\n|---|---:|\n| x | 1 |\n| y | \\|2\\| |\n"
    )
    assert sections.table(["a", "b"], []) == "| a | b |\n|---|---|\n"


def test_a_section_is_replaced_where_it_stands(tmp_path):
    document = tmp_path / "a.md"
    begin, end = sections.begin_of("x", "s.py"), sections.end_of("x")
    document.write_text(f"before\n{begin}old\n{end}after\n")
    assert sections.with_section(document, "x", "s.py", "new\n") == f"before\n{begin}new\n{end}after\n"
    with pytest.raises(ValueError, match=r"must hold the lines <!-- y: made by s.py --write --> and <!-- end of y -->"):
        sections.with_section(document, "y", "s.py", "new\n")


@each([ROOT / "README.md", ROOT / "data_prep/README.md"])
def test_the_row_of_the_schema_can_be_trained_on(document, tmp_path):
    row = re.search(r"^```json\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)[1]
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps(json.loads(row)) + "\n")
    (report,) = check_files([file], rewards=compute, progress=False)
    assert (report.rows, report.problems) == (1, {})


def test_every_script_has_its_place():
    told = (ROOT / "scripts/README.md").read_text()
    lone = {path.name for path in (ROOT / "scripts").iterdir() if path.suffix in (".py", ".sh")} - {"__init__.py"}
    parts = {path.name for path in (ROOT / "scripts").glob("*.py") if "__main__" not in path.read_text()}
    assert {name for name in lone - parts if name not in told and name.removesuffix(".py") not in told} == set()
