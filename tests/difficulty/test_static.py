from tests.refusals import refused
from verl_dots.difficulty.static import static_difficulties


def test_a_column_or_a_field_of_one():
    assert static_difficulties([{"level": 3}, {"level": 0.5}], "level", "dots.KEY").tolist() == [3.0, 0.5]
    inside = [{"extra_info": {"difficulty": 82.0}}]
    assert static_difficulties(inside, "extra_info.difficulty", "dots.KEY").tolist() == [82.0]


def test_a_missing_difficulty_is_an_error_and_not_0():
    rows = [{"a": {"d": 1}}, {"a": {}}, {"a": {"d": None}}, {"a": None}, {"a": {"d": float("nan")}}, {"a": {"d": "7"}}]
    with refused("dots.KEY", "data", "5 of 6 rows", "'a.d'", "row 1 has None; row 2 has"):
        static_difficulties(rows, "a.d", "dots.KEY")
    with refused("dots.KEY", "data", "data.parquet:0 has None"):
        static_difficulties([{}], "level", "dots.KEY", "data.parquet:{}".format)
