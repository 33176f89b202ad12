"""Where commands write: what is said stands there as it was."""

import io

import pytest
from rich.table import Table

from verl_dots.terminal import WIDTH, errors, output

TEXT = "runs/[a]/:warning: 12 'x' " + "word " * 40 + "end"


def test_a_text_stands_there_as_it_is(capsys):
    output().print(TEXT)
    errors().print(TEXT)
    assert capsys.readouterr() == (f"{TEXT}\n", f"{TEXT}\n")


@pytest.mark.parametrize(("columns", "width"), [(None, WIDTH), ("60", 60)])
def test_a_table_that_no_terminal_shows_has_room_or_what_columns_says(columns, width, monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    table = Table("fix")
    table.add_row("pip install verl-dots[vllm] " * 10)
    output().print(table, soft_wrap=False)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) == width
    assert shown.count("[vllm]") == 10  # no markup


def test_a_file_takes_the_place_of_the_standard_output(capsys):
    file = io.StringIO()
    output(file).print(TEXT)
    assert (file.getvalue(), capsys.readouterr().out) == (f"{TEXT}\n", "")


def test_a_table_is_folded_to_the_width_and_a_line_is_not(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = Table("name", title="a title of more words than there is room for in a line")
    output().print(table)
    output().print("a line of more words than there is room for in forty columns")
    *rows, line = capsys.readouterr().out.splitlines()
    assert max(map(len, rows)) <= 40 < len(line)
