"""Names and questions of data files."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.evaluation.conftest import row
from tests.refusals import refused
from verl_dots.evaluation.data_sets import read_data_sets


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, *rows):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows)), name)
        return name

    return write


def test_a_data_set_is_called_by_its_source(write):
    gsm8k = write("a.parquet", row("1+1?", source="gsm8k"), row("2?", source="gsm8k"))
    found = read_data_sets([gsm8k, write("b.parquet", row("1+1?"))])
    assert [data_set.label for data_set in found] == ["gsm8k", "arithmetic"]
    assert [question.text for question in found[0].questions] == ["1+1?", "2?"]
    # The same question in two data sets is one of each.
    assert found[1].questions[0].id == found[0].questions[0].id


def test_files_of_one_source_or_of_several_are_called_by_their_names(write):
    files = [
        write("easy.parquet", row("1+1?")),
        write("hard.parquet", row("7*7?", "49")),
        write("mixed.parquet", row("1?", "1", source="math500"), row("2?", "2", source="aime24")),
    ]
    assert [data_set.label for data_set in read_data_sets(files)] == ["easy", "hard", "mixed"]


def test_the_first_questions_of_each(write):
    files = [write("a.parquet", row("1?", "1"), row("2?", "2"), row("3?", "3")), write("b.parquet", row("4?", "4"))]
    assert [len(data_set.questions) for data_set in read_data_sets(files, limit=2)] == [2, 1]


def test_repeated_rows_are_one_question_and_other_answers_are_others(write):
    [found] = read_data_sets([write("a.parquet", row("1?", "1"), row("1?", "1"), row("1?", "one"))])
    assert [question.answer for question in found.questions] == ["1", "one"]


def test_names_that_would_be_used_twice_are_refused(write):
    files = [write("x/test.parquet", row("1?")), write("y/test.parquet", row("2?"))]
    with refused("--data", "excluded", "'test'"):
        read_data_sets(files)
    with refused("--data", "excluded", "'average'"):
        read_data_sets([write("average.parquet", row("1?")), files[0]])


def test_files_without_questions_are_refused(write):
    pq.write_table(pa.table({"prompt": ["1+1?"], "data_source": ["arithmetic"]}), "columns.parquet")
    with refused("reward_model", "data", "columns.parquet"):
        read_data_sets(["columns.parquet"])
    with refused("nowhere.parquet", "file"):
        read_data_sets(["nowhere.parquet"])
    with refused("prompt", "data", "1 of 2 rows", "bad.parquet row 1: "):
        read_data_sets([write("bad.parquet", row("1?"), {**row("2?"), "prompt": [{"role": "user"}]})])
    with refused("data_source", "data", "nameless.parquet: 1 "):
        read_data_sets([write("nameless.parquet", {**row("1?"), "data_source": None})])
    with refused("--limit", "range", "0"):
        read_data_sets([write("a.parquet", row("1?"))], limit=0)
