import os
import stat
from pathlib import Path

import pytest

from tests.refusals import refused
from verl_dots.files import holds_json, parse_json, read_json, read_yaml, try_output, try_outputs, write_atomically


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomically(path, lambda partial: partial.write_text("old"))

    def fails(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fails)
    assert path.read_text() == "old" and os.listdir(path.parent) == ["file"]


def test_others_may_read_what_they_may_usually_read(tmp_path):
    def private(partial):
        partial.touch(mode=0o600)

    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", private)
    finally:
        assert os.umask(before) == 0o027
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "text", ["", "[", b"\xff", "[" * 100_000, '{"a":' * 100_000, "9" * 5000], ids=lambda text: text[:9]
)
def test_json_that_cannot_be_read_has_one_kind_of_error(text):
    assert parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError):
        parse_json(text)


def test_a_place_that_is_tried_is_as_it_was(tmp_path):
    (tmp_path / "old").write_text("old")
    (tmp_path / "there").mkdir()
    for name in ("old", "new/er/file", "there/file"):
        try_output(tmp_path / name)
    with refused("--out", "file"):
        try_output(tmp_path / "old/er/file")
    assert sorted(os.listdir(tmp_path)) == ["old", "there"] and (tmp_path / "old").read_text() == "old"
    assert os.listdir(tmp_path / "there") == []


@pytest.mark.parametrize(
    ("place", "reason", "named"),
    [
        ("folder", "file", "{}/folder "),
        ("text/file", "file", "({}/text)"),
        ("x" * 300, "file", "File name too long"),
        ("folder/../text", "excluded", "({}/text)"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_refused(tmp_path, place, reason, named):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("kept")
    with refused("--out", reason, f"{tmp_path / place} ", named.format(tmp_path)):
        try_output(tmp_path / place, inputs=[tmp_path / "gone", tmp_path / "text"])
    assert sorted(os.listdir(tmp_path)) == ["folder", "text"] and os.listdir(tmp_path / "folder") == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that takes no files")
def test_a_folder_that_takes_no_files_is_refused():
    with refused("--out", "file", "/proc/self/file"):
        try_output(Path("/proc/self/file"))


def test_a_file_that_a_command_did_not_make_stays(tmp_path):
    made = holds_json("counts", "rows")
    for text in ("mine", "[1]", '{"counts": 1}', "", "[" * 100_000):
        (tmp_path / "out.json").write_text(text)
        with refused("--json", "excluded", "out.json is there"):
            try_output(tmp_path / "out.json", option="--json", made=made)
        assert (tmp_path / "out.json").read_text() == text
    (tmp_path / "out.json").write_text('{"counts": 1, "rows": 2}')
    try_output(tmp_path / "out.json", option="--json", made=made)


def test_files_of_a_folder_are_a_commands_own_by_the_first(tmp_path):
    (tmp_path / "b.csv").write_text("mine")
    with refused("--out", "excluded", "b.csv is there"):
        try_outputs(tmp_path, ("a.json", "b.csv"), holds_json("rows"))
    (tmp_path / "a.json").write_text('{"rows": 2}')
    try_outputs(tmp_path, ("a.json", "b.csv"), holds_json("rows"))
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.csv"]


@pytest.mark.parametrize("read", [read_json, read_yaml])
@pytest.mark.parametrize(
    ("content", "reason", "named"),
    [
        (b"", None, "file"),
        (b'{"a": [1, ', "file", "or damaged"),
        (b"[" * 100_000, "file", "or damaged"),
        (b"[1, 2]", "type", "a list where a dict must be"),
        (b"\xff\xfe\x00", "file", "utf-8"),
        (None, "file", "No such file"),
        ("folder", "file", "Is a directory"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_sentence(tmp_path, read, content, reason, named):
    file = tmp_path / "file"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    with refused(str(file), reason, named, "give another file") as caught:
        read(file)
    assert "\n" not in str(caught.value)
