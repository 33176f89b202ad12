import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from verl_dots.difficulty.labels import family, first_of_families, in_share, read_labels


def written(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def collected(path, *rows):
    names = ("question_id", "text", "answer", "success_rate", "rollouts")
    return written(path, [dict(zip(names, row, strict=True)) for row in rows])


def verl_file(path, name, *values):
    """Questions with these values of a field of extra_info."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"1+{i}"}],
            "reward_model": {"style": "rule", "ground_truth": "2"},
            "extra_info": {name: value},
        }
        for i, value in enumerate(values)
    ]
    return written(path, rows)


def test_collected_files_are_joined_and_repeats_averaged(tmp_path):
    one = collected(tmp_path / "1.parquet", ("a", "1+1", "2", 0.25, 8), ("b", "2+2", "4", 1.0, 8))
    two = collected(tmp_path / "2.parquet", ("a", "1+1", "2", 0.75, 8))
    labels = read_labels([one, two])
    assert labels.ids == ("a", "b") and labels.texts == ("1+1", "2+2") and labels.answers == ("2", "4")
    assert labels.success_rate_P.tolist() == [0.5, 1.0]


def test_verl_rows_carry_difficulty_or_success_rate(tmp_path):
    labels = read_labels([verl_file(tmp_path / "a.parquet", "difficulty", 25.0, 100.0)])
    assert labels.success_rate_P.tolist() == [0.75, 0.0]
    assert (labels.texts, labels.answers) == (("1+0", "1+1"), ("2", "2"))
    assert read_labels([verl_file(tmp_path / "b.parquet", "success_rate", 0.3)]).success_rate_P.tolist() == [0.3]
    levels = verl_file(tmp_path / "c.parquet", "difficulty", 3.0)  # from 1 (easy) to 5 (hard)
    assert read_labels([levels], (1.0, 5.0)).success_rate_P.tolist() == [0.5]


def test_bad_files_are_refused_by_name(tmp_path):
    for file, message in (
        (collected(tmp_path / "high.parquet", ("a", "1+1", "2", 1.5, 8)), r"high\.parquet: success rate 1\.5 of .* a"),
        (verl_file(tmp_path / "none.parquet", "index", 0), "a label must be a number, got None"),
        (written(tmp_path / "other.parquet", [{"x": 1}]), r"other\.parquet has the columns \['x'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            read_labels([file])


def test_a_family_differs_in_case_spaces_and_punctuation_only():
    assert family("What is $x+1$?") == family("what  is x 1")
    assert family("What is x+2?") != family("What is x+1?")
    assert family("+") != family("-")  # nothing but punctuation: the text itself
    assert first_of_families(["a", "b", "a"]).tolist() == [0, 1]


def test_a_share_never_parts_a_family():
    names = [str(i // 2) for i in range(4000)]
    chosen = in_share(names, 0.25, seed=1)
    assert np.array_equal(chosen[::2], chosen[1::2])
    assert abs(chosen.mean() - 0.25) < 0.05  # 5 standard deviations of 2000 draws
    assert np.array_equal(chosen, in_share(names, 0.25, seed=1)) and (chosen != in_share(names, 0.25, seed=2)).any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        in_share(names, 1.0, seed=1)
