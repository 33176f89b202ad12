"""The journal of work that is done: read back after any end, and never mixed with that of other settings."""

import json

import pytest

from tests.refusals import refused
from verl_dots.journal import Journal

SETTINGS = {"model": "tiny, sha256 ab", "temperature": 0.6}


class Numbers(Journal[str, float]):
    def line_of(self, key, value):
        return {"key": key, "value": value}

    def read_line(self, line):
        return line["key"], float(line["value"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "journal.jsonl"


@pytest.fixture
def begun(path):
    """A journal with two lines."""
    with Numbers(path, SETTINGS) as journal:
        journal.add("a", 0.1 + 0.2)
        # On disk at once: a process that is killed loses nothing.
        assert Numbers(path, SETTINGS).done == {"a": 0.1 + 0.2}
        journal.add("b\u2028", 1 / 3)
    return path


def test_what_is_done_is_there_again(begun):
    with Numbers(begun, SETTINGS) as journal:
        assert journal.done == {"a": 0.1 + 0.2, "b\u2028": 1 / 3}
        journal.add("c", 1)
    assert list(Numbers(begun, SETTINGS).done) == ["a", "b\u2028", "c"]


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_a_crash_cut_short_is_done_again(begun, cut):
    begun.write_bytes(begun.read_bytes()[:-cut])
    with Numbers(begun, SETTINGS) as journal:
        assert list(journal.done) == ["a"]
        journal.add("c", 2)
    assert Numbers(begun, SETTINGS).done == {"a": 0.1 + 0.2, "c": 2}


def test_a_journal_of_other_settings_is_refused_with_what_differs(begun):
    before = begun.read_bytes()
    told = "(model: 'tiny, sha256 ab' there, 'tiny, sha256 cd' now; top_p: not noted there, 1.0 now)"
    with refused("model", "other run", told, "--out"):
        Numbers(begun, {**SETTINGS, "model": "tiny, sha256 cd", "top_p": 1.0})
    assert begun.read_bytes() == before


def test_a_journal_of_a_version_that_noted_less_is_refused_as_such(begun):
    before = begun.read_bytes()
    with refused("tokenizer", "other run", "version", "(tokenizer: not noted there, 'sha256 ef' now)", "--out"):
        Numbers(begun, {**SETTINGS, "tokenizer": "sha256 ef"})
    assert begun.read_bytes() == before
    # What is not set decides nothing.
    assert Numbers(begun, {**SETTINGS, "quantization": None}).done


@pytest.mark.parametrize("rest", ["", '{"key": "ar'])
def test_a_journal_with_nothing_done_binds_nobody(path, rest):
    with Numbers(path, SETTINGS):
        assert not path.exists()
    path.parent.mkdir()
    for begin in (json.dumps({"settings": {"other": 1}}) + "\n" + rest, '{"settings": {"mod'):
        path.write_text(begin)
        with Numbers(path, SETTINGS) as journal:
            journal.add("a", 1)
        assert list(Numbers(path, SETTINGS).done) == ["a"]


@pytest.mark.parametrize(
    "content",
    ['{"a": 1}\n', "text\n", '[1]\n{"key": 1}\n', '{"settings": {}}\n{}\n', "\xff\xfe\n", "[" * 100_000 + "\n"],
    ids=lambda content: content[:9],
)
def test_another_file_is_no_journal_and_is_kept(path, content):
    path.parent.mkdir()
    path.write_text(content, encoding="latin-1")
    with refused(str(path), "file"):
        Numbers(path, SETTINGS)
    assert path.read_text(encoding="latin-1") == content
