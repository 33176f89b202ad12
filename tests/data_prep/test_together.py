"""Every two data sets, of whatever script, can be read as one by verl's data set."""

import itertools
import json

import datasets
import pyarrow.parquet as pq
import pytest

from data_prep import add_difficulty, arithmetic, deepscaler, mbpp_plus
from data_prep.schema import EXTRA_FIELDS
from tests.data_prep.test_data_sets import ADARFT, CASES, SCRIPTS
from tests.data_prep.test_mbpp_plus import task
from verl_dots.data.column_types import type_problems


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """name -> a small file of it: all sets, rated ones, and the testbed's."""
    folder = tmp_path_factory.mktemp("sets")

    def prepared(name, script, raw, *arguments):
        (folder / "raw.json").write_text(json.dumps([raw]))
        script.main(["--source", str(folder / "raw.json"), "--out", str(folder / f"{name}.parquet"), *arguments])

    for name, script in SCRIPTS.items():
        prepared(name, script, CASES[name][0])
    prepared("adarft", deepscaler, ADARFT, "--system", "Be brief.")
    code = task(2, "def double(a):\n    return 2 * a", [[1], [2]], [2, 4])
    prepared("mbpp_plus", mbpp_plus, code, "--no-check")
    for name in ("adarft", "e3"):
        out = ["--labels", str(folder / "adarft.parquet"), "--out", str(folder / f"{name}_rated.parquet")]
        add_difficulty.main([str(folder / f"{name}.parquet"), *out])
    arithmetic.main(["--out", str(folder), "--train", "20", "--val", "20"])
    return {path.stem: path for path in sorted(folder.glob("*.parquet"))}


def test_every_two_are_read_as_one(files, tmp_path):
    assert len(files) == 11 + 2 + 2 + 2
    loaded = {
        name: datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path), split="train")
        for name, path in files.items()
    }
    for one, other in itertools.combinations(files, 2):
        both = datasets.concatenate_datasets([loaded[one], loaded[other]])
        assert len(both) == len(loaded[one]) + len(loaded[other]), (one, other)
        ground_truths = [row["ground_truth"] for row in both["reward_model"]]
        assert all(isinstance(truth, str) for truth in ground_truths), (one, other)
    assert type_problems(list(files.values())) == []


def test_every_field_has_one_type_and_stands_in_the_table(files):
    for path in files.values():
        for field in pq.read_schema(path).field("extra_info").type:
            if field.name not in ("index", "question_id", "split"):
                assert field.type == EXTRA_FIELDS[field.name], (path.name, field.name)
    levels = [pq.read_table(files[name])["extra_info"][0]["level"].as_py() for name in ("math", "math500", "deepmath")]
    assert levels == [5.0, 2.0, 6.5]
