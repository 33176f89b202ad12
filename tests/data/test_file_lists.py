"""What names data files, and files that are refused by their names alone."""

import re

import pytest
from omegaconf import OmegaConf

from verl_dots.data.file_lists import QuestionError, file_list, require_file


def test_a_list_of_files_whatever_names_them(tmp_path):
    assert file_list("a.parquet") == ["a.parquet"]
    assert file_list(OmegaConf.create(["b.json", "a.parquet"])) == ["b.json", "a.parquet"]
    assert file_list([tmp_path / "a.parquet"]) == [str(tmp_path / "a.parquet")]
    assert file_list(None) == file_list([]) == file_list(OmegaConf.create([])) == []


@pytest.mark.parametrize("name", [1, "", None])
def test_what_is_no_path_is_refused(name):
    with pytest.raises(QuestionError, match=re.escape(f"{name!r} is no path; name a file, or a list of files")):
        file_list(["a.parquet", name])


def test_a_number_is_no_path_either():
    with pytest.raises(QuestionError, match="5 is no path"):
        file_list(5)


def test_files_that_cannot_be_read_are_refused_by_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.parquet").mkdir()
    kinds = ["a.parquet", "a.json", "a.jsonl"]
    for name in (*kinds, "a.csv"):
        (tmp_path / name).touch()
    for name, words in (
        ("gone.parquet", "there is no file 'gone.parquet'"),
        ("folder.parquet", "'folder.parquet' is a folder; name the files in it, folder.parquet/NAME.parquet"),
        ("hdfs://host/a.parquet", "'hdfs://host/a.parquet' is not on this machine"),
        ("a.csv", "'a.csv' is of a kind that verl does not read; allowed: .parquet, .json, .jsonl"),
    ):
        with pytest.raises(QuestionError, match=re.escape(words)):
            require_file(name)
    assert [require_file(name).name for name in ("a.parquet", "a.json", "a.jsonl")] == [
        "a.parquet",
        "a.json",
        "a.jsonl",
    ]
    assert require_file("a.csv", suffixes=None).name == "a.csv"
