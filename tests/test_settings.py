"""Groups of settings as plain values."""

from verl_dots.settings import flat


def test_values_by_dotted_names_where_lists_and_empty_groups_are_values():
    given = {"a": {"b": 1, "c": {"d": None, "e": {}}}, "f": [{"g": 2}], "h": {}, 3: {4: "x"}}
    assert list(flat(given).items()) == [
        ("a.b", 1), ("a.c.d", None), ("a.c.e", {}), ("f", [{"g": 2}]), ("h", {}), ("3.4", "x")
    ]  # fmt: skip
    assert flat({}) == {} and flat({"a": {"b": 1}}, "x.") == {"x.a.b": 1}
