import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.refusals import refused
from verl_dots.data.file_lists import QuestionError
from verl_dots.difficulty.labels import Labels, family, first_of_families, in_share, read_labels


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


def test_files_of_one_labeller_are_joined_and_repeats_pooled_by_their_rollouts(tmp_path):
    one = collected(tmp_path / "1.parquet", ("a", "1+1", "2", 0.25, 8), ("b", "2+2", "4", 1.0, 8))
    two = collected(tmp_path / "2.parquet", ("a", "1+1", "2", 0.75, 24))
    labels = read_labels([one, two], labellers=["m"])
    assert labels.ids == ("a", "b") and labels.texts == ("1+1", "2+2") and labels.answers == ("2", "4")
    # (0.25 x 8 + 0.75 x 24) / 32 = 20 / 32
    assert labels.labellers == ("m",) and labels.success_rate_LP.tolist() == [[0.625, 1.0]]


def test_labellers_stay_apart_whoever_names_them(tmp_path):
    one = collected(tmp_path / "1.parquet", ("a", "1+1", "2", 0.25, 8), ("b", "2+2", "4", 1.0, 8))
    two = collected(tmp_path / "2.parquet", ("a", "1+1", "2", 0.75, 8))
    want = [[0.25, 1.0], [0.75, None]]
    rows = pq.read_table(one).to_pylist() + pq.read_table(two).to_pylist()
    named = written(tmp_path / "3.parquet", [{**row, "labeller": name} for row, name in zip(rows, "xxy", strict=True)])
    for labels, names in (
        (read_labels([one, two]), (str(one), str(two))),
        (read_labels([one, two], labellers=["m", "n"]), ("m", "n")),
        (read_labels([named], labellers=["m"]), ("x", "y")),  # the rows' own name counts
    ):
        assert labels.labellers == names
        assert [[None if rate != rate else rate for rate in row] for row in labels.success_rate_LP.tolist()] == want
        assert labels.success_rate_P.tolist() == [0.5, 1.0]
    assert [(name, asked.tolist(), difficulty.tolist()) for name, asked, difficulty in labels.by_labeller()] == [
        ("x", [0, 1], [0.75, 0.0]), ("y", [0], [0.25])
    ]  # fmt: skip
    with refused("--labeller", "size", "one for each of the 2 label files"):
        read_labels([one, two], labellers=["m", "n", "o"])


def test_labels_of_some_labellers():
    nan = float("nan")
    labels = Labels(("a", "b", "c"), ("1", "2", "3"), ("",) * 3, np.array([[0.5, nan, nan], [1, 0, nan]]), ("x", "y"))
    only = labels.of(["x"])
    assert only.ids == ("a",) and only.labellers == ("x",) and only.success_rate_LP.tolist() == [[0.5]]
    assert labels.of(["x", "y"]).ids == ("a", "b")
    with refused("labellers", "choice", "'x', 'y'"):
        labels.of(["z"])


def test_a_family_keeps_its_first_question_and_each_labellers_first_label():
    nan = float("nan")
    rate_LP = np.array([[nan, 0.5, 0.25, 0.75], [1.0, nan, 0.0, nan]])
    labels = Labels(("a", "b", "c", "d"), ("1+1", "2", "1 + 1?", "1+1."), ("",) * 4, rate_LP, ("x", "y"))
    one = labels.one_per_family()
    assert one.ids == ("a", "b")
    assert np.array_equal(one.success_rate_LP, [[0.25, 0.5], [1.0, nan]], equal_nan=True)
    assert np.isnan(labels.success_rate_LP[0, 0])  # the original is as it was


def test_questions_that_differ_in_signs_or_spaces_and_in_their_answers_are_different_ones():
    texts = ("What is 3 + 4?", "What is 34?", "What is 3 - 4?", "What is 3+4", "What is 12 + 3?", "What is 1 + 23?")
    answers = ("7", "34", "-1", "7", "15", "24")
    labels = Labels(tuple("abcdef"), texts, answers, np.arange(6.0)[None] / 10)
    assert len(set(labels.families)) == 2, "so that a split never parts them"
    one = labels.one_per_family()
    assert one.ids == ("a", "b", "c", "e", "f") and one.success_rate_P.tolist() == [0.0, 0.1, 0.2, 0.4, 0.5]
    # The same question in other words, by its answer; and with its answer in another form, by its words.
    again = Labels(("a", "b", "c"), ("a well-known sum: 1/3", "A well known sum: 1/3", "a well-known sum: 1/3."),
                   ("x", "x", "1 third"), np.zeros((1, 3)))  # fmt: skip
    assert again.one_per_family().ids == ("a",)


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
        (collected(tmp_path / "no.parquet", ("a", "1+1", "2", 0.5, 0)), "must be 1 or more, .* got 0"),
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("question_id", 3), ("question_id", None), ("question_id", ["a"]), ("text", None), ("text", 3), ("text", b"a"),
        ("answer", None), ("answer", [1]), ("success_rate", None), ("success_rate", "0.5"), ("success_rate", [0.5]),
        ("success_rate", True), ("success_rate", float("nan")), ("rollouts", 1.5), ("rollouts", "8"), ("labeller", 3),
        ("labeller", ["a"]), ("labeller", {"a": 1}),
    ],
)  # fmt: skip
def test_a_label_of_another_type_is_refused_with_its_row(tmp_path, name, value):
    row = {"question_id": "a", "text": "1+1", "answer": "2", "success_rate": 0.5, "rollouts": 8, "labeller": "m"}
    file = written(tmp_path / "hand.parquet", [row | {name: value}])
    with pytest.raises(QuestionError, match=r"hand\.parquet") as caught:
        read_labels([file])
    assert "row 0" in str(caught.value) or value != value


def test_a_data_set_without_extra_info_has_no_label(tmp_path):
    rows = [{"prompt": [{"role": "user", "content": "1"}], "reward_model": {"ground_truth": "2"}, "extra_info": None}]
    with pytest.raises(QuestionError, match=r"row 0: a label must be a number, got None"):
        read_labels([written(tmp_path / "a.parquet", rows)])
