import os
import stat

import pytest

from verl_dots.files import write_atomically


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
