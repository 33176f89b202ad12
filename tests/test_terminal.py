"""Where commands write: what is said stands there as it was."""

import io

from verl_dots.terminal import errors, output

TEXT = "runs/[a]/:warning: 12 'x' " + "word " * 40 + "end"


def test_a_text_stands_there_as_it_is(capsys):
    output().print(TEXT)
    errors().print(TEXT)
    assert capsys.readouterr() == (f"{TEXT}\n", f"{TEXT}\n")


def test_a_file_takes_the_place_of_the_standard_output(capsys):
    file = io.StringIO()
    output(file).print(TEXT)
    assert (file.getvalue(), capsys.readouterr().out) == (f"{TEXT}\n", "")
