"""Savings until shares of the baseline's gain, by hand from curves."""

from tests.evidence.hand import evidence, run
from verl_dots.evidence.cells import Missing, Why, has_rows, text_of
from verl_dots.evidence.combinations import Combination
from verl_dots.evidence.measuring import measure
from verl_dots.evidence.ours import Ours
from verl_dots.evidence.shares import shares_table

GRPO = run({0: 0.0, 10: 0.4})
HALF = run({0: 0.0, 4: 0.32, 10: 0.32}, tokens=50)  # 0.2 after 2.5 steps, 0.3 after 3.75; 0.36 never
WHOLE = run({0: 0.0, 5: 0.4, 10: 0.4}, tokens=50)  # 0.2 after 2.5, 0.3 after 3.75, 0.36 after 4.5, 0.4 after 5


def table_of(runs, combinations=None, apart=(), stand_in=False):
    known = evidence(runs)
    measured = measure(known, smoothing="none", stand_in=stand_in, apart=apart)
    return shares_table(Ours(known, measured), combinations or {})


def two_seeds(second, **more):
    runs = {("grpo", seed): GRPO for seed in (1, 2)} | {("dots", 1): WHOLE, ("dots", 2): second}
    return table_of(runs, **more)


def test_a_section_a_share_and_how_many_come_there():
    table = two_seeds(HALF)
    assert [column.title for column in table.columns] == [
        "method", "reached", "steps saved (%)", "total time saved (%)", "tokens saved (%)",
    ]  # fmt: skip
    assert [section.heading[:5] for section in table.sections] == ["50 % ", "75 % ", "90 % ", "100 %"]
    grpo = [section.rows[0] for section in table.sections]
    assert set(grpo) == {("GRPO", "2 of 2", "baseline", "baseline", "baseline")}
    dots = [section.rows[1] for section in table.sections]
    # 2.5 of 5 steps of GRPO's, and 125 of 500 tokens; 3.75 of 7.5.
    assert [text_of(cell, 1) for cell in dots[0]] == [
        "DOTS", "2 of 2", "50.0 [50.0, 50.0]", "not measured", "75.0 [75.0, 75.0]",
    ]  # fmt: skip
    assert [text_of(cell, 1) for cell in dots[1]][1:3] == ["2 of 2", "50.0 [50.0, 50.0]"]
    # GRPO has 0.36 at step 9. One has it at 4.5, with 225 tokens of 900; the other's 10 steps and 500 tokens do not do.
    assert [text_of(cell, 1) for cell in dots[2]][1:] == [
        "1 of 2", "at most 19.4 [-11.1, 50.0] (1 of 2 seeds)", "not measured",
        "at most 59.7 [44.4, 75.0] (1 of 2 seeds)",
    ]  # fmt: skip
    assert text_of(dots[3][2], 1) == "at most 25.0 [0.0, 50.0] (1 of 2 seeds)"
    assert dots[3][3] == Missing(Why.NOT_MEASURED)


def test_a_method_that_lacks_a_combination_has_no_row():
    runs = {("grpo", seed, "accuracy", name): GRPO for name in "ab" for seed in (1, 2)}
    runs |= {("dots", seed, "accuracy", "a"): WHOLE for seed in (1, 2)}
    assert [[row[0] for row in section.rows] for section in table_of(runs).sections] == [["GRPO"]] * 4


def test_time_is_shown_where_steps_were_timed():
    saved = [section.rows[1][3] for section in two_seeds(WHOLE, stand_in=True).sections]
    assert [text_of(cell, 1) for cell in saved] == ["50.0 [50.0, 50.0] (of accuracy runs)"] * 4


def test_of_the_mean_of_combinations_runs_are_counted_and_not_seeds():
    runs = {("grpo", seed, "accuracy", name): GRPO for name in "ab" for seed in (1, 2)}
    runs |= {("dots", seed, "accuracy", name): WHOLE for name in "ab" for seed in (1, 2)}
    line = table_of(runs | {("dots", 2, "accuracy", "b"): HALF}).sections[3].rows[1]
    assert line[1] == "3 of 4" and line[3] == Missing(Why.NOT_MEASURED)
    # Steps saved 0.5 in three, and 0 at most: means 0.5 and 0.25, squares 0 and 0.125, variance 0.0625.
    assert text_of(line[2], 1) == f"at most 37.5 [{37.5 - 430.2653 / 8:.1f}, {37.5 + 430.2653 / 8:.1f}] (3 of 4 runs)"


def test_it_is_of_the_mean_of_combinations_and_says_which_it_leaves_out():
    runs = {(method, 1, "accuracy", name): GRPO for method in ("grpo", "dots") for name in "abc"}
    table = table_of(runs, {"c": Combination("the third", apart=True)}, apart=["c"])
    assert table.title.endswith("gain, mean of combinations, without the third")
    assert table.sections[0].rows[1][1] == "2 of 2"
    assert table_of({key: rows for key, rows in runs.items() if key[3] == "a"}).title.endswith("gain, a")
    assert not has_rows(table_of(runs, apart=["b", "c"])), "several combinations without a mean"
