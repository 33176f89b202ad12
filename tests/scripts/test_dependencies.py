"""The audit of direct dependencies."""

import re

import pytest

from scripts.dependencies import DOCUMENT, PURPOSES, by_scripts, imported, main, required, table, told

SETUP = """
setup(
    name="x",
    install_requires=["One==1.0", "two_b>=2,<3", "three"],
    extras_require={"test": ["pytest>=8"], "gpu": ["One==1.1"]},
)
"""


def test_what_is_required_is_read_from_setup():
    assert required(SETUP) == {"one": "==1.0, ==1.1 [gpu]", "two-b": "<3,>=2", "three": "", "pytest": ">=8 [test]"}


def test_what_is_imported_is_found_by_the_names_of_packages(tmp_path):
    for folder, text in (
        ("verl_dots", "import yaml, os.path\nfrom verl_dots import state"),
        ("data_prep", "import httpx"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text(text)
    assert imported(tmp_path) == {"pyyaml", "httpx"}


def test_what_is_imported_and_not_installed_is_found_where_it_has_a_purpose(tmp_path):
    for folder in ("verl_dots", "data_prep"):
        (tmp_path / folder).mkdir()
    (tmp_path / "verl_dots" / "a.py").write_text("import flash_attn\nimport no_package_of_this_name\n")
    assert imported(tmp_path) == {"flash-attn"}


def test_what_scripts_install_is_of_the_version_there(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "recipes" / "locks").mkdir(parents=True)
    (tmp_path / "scripts" / "flash_attn.sh").write_text("#!/bin/bash\nVERSION=2.8.3\n")
    lock = tmp_path / "recipes" / "locks" / "sglang.txt"
    lock.write_text("six==1\nsglang==0.5.12\nsglang-kernel==0.4\n")
    found = {"flash-attn": "==2.8.3 [scripts/flash_attn.sh]", "sglang": "==0.5.12 [recipes/locks/sglang.txt]"}
    assert by_scripts(tmp_path) == found
    lock.write_text("six==1\n")
    with pytest.raises(SystemExit, match="names no version of sglang"):
        by_scripts(tmp_path)


def test_the_table_has_a_row_of_each_package_that_has_a_purpose():
    assert {name for name, _ in told(DOCUMENT.read_text())} == set(PURPOSES)


def test_a_document_tells_names_and_pins():
    rows = [["a", "==1", "1", "x", "somebody", "MIT"], ["b", "any", "2", "y", "somebody", "MIT"]]
    text = (
        f"<!-- dependencies: made by python -m scripts.dependencies --write -->\n{table(rows, '2026-01-02', 'None.')}"
    )
    assert told(f"# A\n{text}<!-- end of dependencies -->\n| c | d |\n") == [["a", "==1"], ["b", "any"]]


def test_the_audit_is_of_what_setup_asks_for_now_and_has_a_date():
    """A version that is installed may be newer; a package that nobody has looked at may not be there."""
    assert main([]) == 0
    dated = r"^Seen on \d{4}-\d\d-\d\d\. The PyPA advisory database, last changed on \d{4}-\d\d-\d\d, has"
    assert re.search(dated, DOCUMENT.read_text(), re.MULTILINE)
