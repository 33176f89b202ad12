import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data_files import row, write
from tests.refusals import refused
from verl_dots.data.asked_questions import read_asked_questions
from verl_dots.simulation.difficulties import read_difficulties


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def read(file, tries=128, only=()):
    return read_difficulties([file], tries, (0.0, 100.0), only)


def test_labels_have_a_rate_and_its_tries(tmp_path):
    found = read(parquet(tmp_path / "a.parquet", success_rate=[0.0, 0.25, 1.0], rollouts=[8, 4, 16]))
    assert found.success_P.tolist() == [0, 0.25, 1] and found.tries_P.tolist() == [8, 4, 16]


def test_difficulties_of_a_data_set_are_turned_into_success_rates(tmp_path):
    file = parquet(tmp_path / "a.parquet", extra_info=[{"difficulty": 25.0}, {"difficulty": 100.0}])
    found = read(file, tries=64)
    assert found.success_P.tolist() == [0.75, 0] and found.tries_P.tolist() == [64, 64]


def test_only_the_questions_of_some_data_make_the_pool_and_all_make_its_distribution(tmp_path):
    data = write(tmp_path / "data.parquet", [row("one?", "1"), row("two?", "2")])
    ids = [question.id for question in read_asked_questions([data])]
    labels = {"question_id": [*ids, "other"], "success_rate": [0.5, 0.25, 0.0], "rollouts": [4, 4, 4]}
    file = parquet(tmp_path / "labels.parquet", **labels)
    found, all_of_them = read(file, only=[data]), read(file)
    assert found.success_P.tolist() == [0.5, 0.25] and found.prior == all_of_them.prior
    with refused(str(data), "data"):
        read(parquet(tmp_path / "b.parquet", question_id=["x"], success_rate=[0.5]), only=[data])
    with refused("--only", "data"):
        read(parquet(tmp_path / "c.parquet", success_rate=[0.5]), only=[data])


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"prompt": ["a"]}, "prompt"),
        ({"extra_info": [{"index": 1}]}, "index"),
        ({"success_rate": [1.5]}, "success_rate"),
        ({"success_rate": [0.5, None]}, "row 1"),
        ({"success_rate": ["half"]}, "success_rate"),
        ({"success_rate": pa.array([], pa.float64())}, "rows"),
    ],
    ids=["no column", "no field", "out of range", "missing", "no number", "empty"],
)
def test_files_without_difficulties_are_refused(tmp_path, columns, named):
    file = parquet(tmp_path / "a.parquet", **columns)
    with refused(str(file), "data", named):
        read(file)
