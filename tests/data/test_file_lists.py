"""What names data files, and files that are refused by their names alone."""

import pytest
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.data.file_lists import file_list, require_file


def test_a_list_of_files_whatever_names_them(tmp_path):
    assert file_list("a.parquet") == ["a.parquet"]
    assert file_list(OmegaConf.create(["b.json", "a.parquet"])) == ["b.json", "a.parquet"]
    assert file_list([tmp_path / "a.parquet"]) == [str(tmp_path / "a.parquet")]
    assert file_list(None) == file_list([]) == file_list(OmegaConf.create([])) == []


@pytest.mark.parametrize(("names", "key"), [(["a", 1], "1"), (["a", ""], ""), (["a", None], "None"), (5, "5")])
def test_what_is_no_path_is_refused(names, key):
    with refused(key, "type"):
        file_list(names)


def test_files_that_cannot_be_read_are_refused_by_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.parquet").mkdir()
    kinds = ["a.parquet", "a.json", "a.jsonl"]
    for name in (*kinds, "a.csv"):
        (tmp_path / name).touch()
    for name, *told in (
        ("gone.parquet", "data_prep/"),
        ("folder.parquet", "folder.parquet/NAME.parquet"),
        ("hdfs://host/a.parquet", "copy"),
        ("a.csv", ".parquet, .json, .jsonl"),
    ):
        with refused(name, "file", *told):
            require_file(name)
    assert [require_file(name).name for name in kinds] == kinds
    assert require_file("a.csv", suffixes=None).name == "a.csv"
