"""What a spreadsheet or another program makes of wandb's .csv: it is refused, or named, and never misread."""

import csv

import pytest

from tests.refusals import refused
from tests.reporting.conftest import load_run
from verl_dots.reporting.runs import NothingRecordedError
from verl_dots.reporting.wandb_csv import read_csv

ACCURACY = "val-core/x/acc/mean@1"
GERMAN = f"_step;{ACCURACY}\n0;0,25\n"


def written(tmp_path, text: str, encoding: str = "utf-8"):
    file = tmp_path / "dots-seed1.csv"
    file.write_bytes(text.encode(encoding))
    return file


@pytest.mark.parametrize("text, encoding, said", [
    (f"_step,{ACCURACY}\n0,0.25\n", "utf-16", ["line 1: is UTF-16", "Save it as UTF-8"]),
    (f"_step,{ACCURACY},note\n0,0.25,\n3,0.5,größer\n", "latin-1", ["line 3: is not UTF-8", "Save it as UTF-8"]),
    (f'_step,loss,{ACCURACY}\n0,,\n3,1,"0,25"\n', "utf-8", [f"line 3: {ACCURACY} is '0,25'", "points in numbers"]),
    (f'_step,{ACCURACY}\n"1,024",0.25\n', "utf-8", ["line 2: _step is '1,024'", "points in numbers"]),
    (f"_step,{ACCURACY}\n0,0,25\n", "utf-8", ["line 2: has more cells than", "commas in its numbers"]),
    (f'_step,{ACCURACY}\n0,"{"1" * 140_000}"\n', "utf-8", ["after line 1: is no CSV", "Export it again"]),
])  # fmt: skip
def test_a_file_that_would_be_misread_is_refused_with_its_line(tmp_path, text, encoding, said):
    file = written(tmp_path, text, encoding)
    with refused(str(file), "damaged", str(file), *said):
        read_csv(file)


@pytest.mark.parametrize("text, called", [
    (GERMAN, "semicolons"), (GERMAN.replace(";", "\t"), "tabs"), (GERMAN.replace("_step", "Step"), "semicolons"),
])  # fmt: skip
def test_another_separator_is_named(tmp_path, text, called):
    file = written(tmp_path, text)
    with refused(str(file), "file", f"line 1: {called} separate its columns", "commas between columns"):
        read_csv(file)


def test_cells_that_are_no_numbers_are_named_and_do_not_count(tmp_path):
    header = ["_step", ACCURACY, "loss", "tokens", "note", "share"]
    lines = [
        [0, "0.25", "inf", "1,234.5", "a text", "10%"],
        [3, "50%", "NaN", "", "5 of 6", ""],
        [6, "1", "2", "7", "", ""],
    ]
    with (tmp_path / "grpo.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows([header, *lines])
    name, rows = read_csv(tmp_path / "grpo.csv")
    assert name == "grpo"
    assert rows.values == [
        {"step": 0, ACCURACY: 0.25, "loss": None, "tokens": None, "share": None},
        {"step": 3, ACCURACY: None},
        {"step": 6, ACCURACY: 1.0, "loss": 2.0, "tokens": 7.0},
    ]  # fmt: skip
    told = [note.removeprefix(f"{tmp_path / 'grpo.csv'}, ").removesuffix(", not a number; it does not count.")
            for note in rows.notes]  # fmt: skip
    assert told == [
        "line 2 (step 0): loss is inf", "line 2 (step 0): tokens is '1,234.5'", "line 2 (step 0): share is '10%'",
        f"line 3 (step 3): {ACCURACY} is '50%'",
    ]  # fmt: skip


def test_an_accuracy_without_any_number_says_what_stands_in_its_place(tmp_path):
    file = written(tmp_path, f"_step,{ACCURACY}\n0,25%\n3,50%\n")
    with pytest.raises(
        NothingRecordedError, match="without any value.*line 2 .step 0.: val-core/x/acc/mean@1 is '25%'"
    ):
        load_run(file)
