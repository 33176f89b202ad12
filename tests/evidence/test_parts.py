"""Seconds of a step by part, by hand."""

from tests.evidence.hand import evidence, run
from verl_dots.evidence.cells import Figure, Missing, Why, has_rows
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.ours import Ours
from verl_dots.evidence.parts import parts_table


def timed(**parts):
    return run({0: 0.1, 4: 0.2}, **{f"timing_s/{name}": seconds for name, seconds in parts.items()})


def table_of(alone, **more):
    """Accuracy runs of three methods on a and b, and timing runs."""
    runs = {(method, 1, "accuracy", name): timed(gen=9.0) for method in ("grpo", "dots", "e3") for name in "ab"}
    known = evidence(runs | {(method, 1, "time", name): rows for (method, name), rows in alone.items()})
    measured = measure(known, **more)
    return parts_table(Ours(known, measured), {})


GRPO = {("grpo", "a"): timed(step=4.0, gen=2.0), ("grpo", "b"): timed(step=3.0, gen=1.0)}


def test_a_row_a_timed_method_a_column_a_part():
    dots = {
        ("dots", "a"): timed(step=2.0, gen=0.5, replay=0.25, zebra=0.5),
        ("dots", "b"): timed(step=1.0, gen=1.5, replay=0.5, zebra=1.0),
    }
    table = table_of(GRPO | dots)
    assert [column.title for column in table.columns] == [
        "method", "pairs", "step (s)", "gen (s)", "replay (s)", "zebra (s)",
    ]  # fmt: skip
    none = Missing(Why.NO_ROW)
    assert table.sections[0].rows == (
        ("GRPO", "2", Figure(3.5, seeds=2), Figure(1.5, seeds=2), none, none),
        ("DOTS", "2", Figure(1.5, seeds=2), Figure(1.0, seeds=2), Figure(0.375, seeds=2), Figure(0.75, seeds=2)),
    )
    assert table.title == "Seconds of a step by part, mean of combinations"


def test_a_method_that_was_timed_on_one_of_two_combinations_has_no_mean():
    table = table_of(GRPO | {("dots", "a"): timed(step=2.0)}, stand_in=False)
    assert table.sections[0].rows[1] == (
        "DOTS", "1", Missing(Why.NOT_MEASURED, "1 of 2 runs"), Missing(Why.NO_ROW),
    )  # fmt: skip


def test_without_timing_runs_there_is_nothing():
    assert not has_rows(table_of({}))
