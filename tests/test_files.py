import os
import stat
from pathlib import Path

import pytest

from tests.refusals import refused
from verl_dots.files import try_output, write_atomically


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


def test_a_place_that_is_tried_has_its_folder_and_nothing_in_it(tmp_path):
    (tmp_path / "old").write_text("old")
    for name in ("old", "new/er/file"):
        try_output(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["new", "old"] and (tmp_path / "old").read_text() == "old"
    assert os.listdir(tmp_path / "new" / "er") == []


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
