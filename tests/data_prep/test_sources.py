"""Finding a source: a path, a folder with splits, the hub."""

import gzip
import hashlib
import json

import datasets
import huggingface_hub
import pytest

from data_prep import math500
from data_prep.sources import Hub, open_source
from tests.data_prep.script_runs import infos_of, raw_file, refusal
from tests.refusals import refused

HUB = Hub("owner/set", "main", {"train": "train", "test": "test"})


def write(path, *names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"name": name}) + "\n" for name in names))


def names(source):
    return [row["name"] for row in source.read()]


def test_a_file_can_be_read_twice_and_is_known_by_its_content(tmp_path):
    write(tmp_path / "a.jsonl", "x", "y")
    source = open_source(str(tmp_path / "a.jsonl"), HUB, "train")
    assert names(source) == names(source) == ["x", "y"]
    digest = hashlib.sha256(b'{"name": "x"}\n{"name": "y"}\n').hexdigest()
    assert source.about == {"files_sha256": {"a.jsonl": digest}}


def test_a_folder_gives_the_split_and_configuration_asked_for(tmp_path):
    for config in ("main", "socratic"):
        for split in ("train", "test"):
            write(tmp_path / config / f"{split}-00000-of-00001.jsonl", f"{config} {split}")
    (tmp_path / "README.md").write_text("no data")
    assert names(open_source(str(tmp_path), HUB, "test")) == ["main test"]
    assert names(open_source(str(tmp_path), HUB, "train", config="socratic")) == ["socratic train"]


def test_a_folder_without_splits_is_taken_whole_in_order(tmp_path):
    write(tmp_path / "b" / "2.json", "second")
    write(tmp_path / "a" / "1.json", "first")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(b'{"name": "third"}'))
    write(tmp_path / ".hidden.json", "no")
    assert names(open_source(str(tmp_path), HUB, "train")) == ["first", "second", "third"]


@pytest.mark.parametrize(
    ("hub", "split", "files", "listed"),
    [
        (HUB, "test", ["data/train-00000.jsonl", "data/train-00001.jsonl"], "data/train-00000.jsonl, data/train-00001"),
        (HUB, "train", ["gsm8k_test.jsonl", "notes.json"], "gsm8k_test.jsonl;"),
        (Hub("owner/set"), "train", ["validation.jsonl"], "validation.jsonl;"),
        (Hub("owner/set", None, {"train": "all", "hard": "hardest"}), "train", ["hardest.jsonl"], "hardest.jsonl;"),
        (None, "train", [f"{i}/test.json" for i in range(7)], "4/test.json, ...;"),
    ],
)
def test_other_splits_are_not_taken_for_the_one_asked_for(tmp_path, hub, split, files, listed):
    for file in files:
        write(tmp_path / file, "x")
    with refused("--source", "file", repr(hub.splits[split] if hub else split), listed):
        open_source(str(tmp_path), hub, split)
    assert names(open_source(str(tmp_path / files[0]), hub, split)) == ["x"]


def test_a_folder_may_name_the_split_as_the_rows_do(tmp_path):
    write(tmp_path / "test.jsonl", "x")
    assert names(open_source(str(tmp_path), Hub("owner/set", None, {"test": "train"}), "test")) == ["x"]


@pytest.mark.parametrize("given", ["missing.parquet", "some/missing.jsonl", "../missing", "."])
def test_a_missing_path_or_an_empty_folder_is_named(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    with refused("--source", "file", given):
        open_source(given, HUB, "train")


def test_a_set_without_hub_needs_a_source():
    with refused("--source", "missing"):
        open_source(None, None, "train")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """`datasets` with a cache of its own and no network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)


def test_the_hub_out_of_reach_says_what_to_do(offline):
    with refused("--source", "file", "owner/surely-not-cached", "download"):
        open_source("owner/surely-not-cached", HUB, "train")


def test_a_set_of_the_hub_is_read_through_datasets(offline, tmp_path):
    """`datasets` takes a folder by the same call as a set of the hub; so the path from its rows to ours runs here."""
    write(tmp_path / "owner" / "set" / "train.jsonl", "x")
    write(tmp_path / "owner" / "set" / "test.jsonl", "y", "z")
    source = open_source(None, Hub("owner/set", None, {"train": "train", "test": "test"}), "test")
    assert names(source) == names(source) == ["y", "z"]
    with refused("--source", "choice", "['test', 'train']", "'val'"):
        open_source(None, Hub("owner/set", None, {"val": "val"}), "val")


def test_the_only_split_of_a_set_of_the_hub_is_no_other_that_was_asked_for(offline, tmp_path, caplog):
    write(tmp_path / "owner" / "set" / "train.jsonl", "x")
    alone = Hub("owner/set", None, {"test": "test"})
    several = Hub("owner/set", None, {"test": "test", "train": "train"})
    with refused("--source", "choice", "owner/set", "['train']", "'test'", "leave --split out"):
        open_source(None, alone, "test", asked=True)
    assert names(open_source(None, alone, "test", asked=False)) == ["x"]
    assert "owner/set has no split 'test'; 'train', its only one, is taken" in caplog.text
    with refused("--source", "choice", "owner/set", "['train']", "'test'"):  # what the set itself calls training data
        open_source(None, several, "test", asked=False)
    assert names(open_source(None, several, "train", asked=True)) == ["x"]


@pytest.mark.parametrize("splits, split", [({"test": "train"}, "test"), ({"train": "all"}, "train")])
def test_a_set_of_the_hub_may_name_the_split_as_the_rows_do(offline, tmp_path, splits, split):
    write(tmp_path / "owner" / "set" / "train.jsonl", "x")
    assert names(open_source(None, Hub("owner/set", None, splits), split, asked=True)) == ["x"]


def test_whether_a_split_was_asked_for_is_what_the_command_line_says(offline, tmp_path, capsys):
    folder, out = tmp_path / math500.MATH500.hub.id, tmp_path / "out.parquet"
    folder.mkdir(parents=True)
    raw_file(folder / "train.jsonl", [{"problem": "p", "answer": "1"}])
    error = refusal(capsys, math500.main, "--split", "test", "--out", out)
    assert f"{math500.MATH500.hub.id} has the splits ['train'], not 'test'" in error and not out.exists()
    math500.main(["--out", str(out)])
    assert infos_of(out, "split") == ["test"]
