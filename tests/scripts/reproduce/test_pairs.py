"""Methods beside each other: differences by hand, of the runs that both have."""

import pandas as pd

from scripts.reproduce.pairs import NOT_TIMED, PAIRS, beside, pairs_table
from verl_dots.evidence.cells import Missing, Why, text_of
from verl_dots.evidence.measures import ROUND_COLUMNS
from verl_dots.evidence.methods import LOOKS

# combination, method, seed, final accuracy, tokens
RUNS = [
    ("a", "dots", 1, 0.50, 100.0), ("a", "dots", 2, 0.50, 100.0), ("b", "dots", 1, 0.40, 200.0),
    ("b", "dots", 2, 0.60, 200.0), ("b", "dots", 3, 0.90, 200.0),
    ("a", "dots_rr", 1, 0.52, 60.0), ("a", "dots_rr", 2, 0.48, 60.0), ("b", "dots_rr", 1, 0.44, 100.0),
    ("b", "dots_rr", 2, 0.64, 100.0), ("c", "dots_rr", 1, 0.10, 100.0),
]  # fmt: skip
BY_SEED = pd.DataFrame(RUNS, columns=["combination", "method", "seed", "final_accuracy", "generated_tokens"])
# Seconds of a step over the baseline's. On b one method was timed; c, where both were, has no run of DOTS.
TIMES = [
    ("a", "dots", 1, 0.8), ("a", "dots_rr", 1, 0.6), ("a", "dots_rr", 2, 0.1), ("b", "dots", 1, 0.9),
    ("c", "dots", 1, 0.5), ("c", "dots_rr", 1, 0.5),
]  # fmt: skip
ROUNDS = pd.DataFrame(TIMES, columns=list(ROUND_COLUMNS))


def test_a_pair_is_compared_on_what_both_have_each_combination_alike():
    (row,) = pairs_table(BY_SEED, ROUNDS).sections[0].rows
    # Of a: 2 and -2 points; of b: 4 and 4. Tokens: -40 % and -50 %.
    assert row[:2] == ("DOTS + RR", "DOTS") and row[-1] == "3 of 4"
    # Squares of a about 0: 8, two degrees of freedom, so the standard error is sqrt(4) / 2; t of two is 4.302653.
    assert text_of(row[3], 2) == "2.00 [-2.30, 6.30]" and text_of(row[4], 0) == "-45 [-45, -45]"
    assert text_of(row[5], 0) == "-25 (1 round)"


def test_the_time_of_a_step_has_the_interval_of_its_rounds_by_hand():
    more = [("b", "dots_rr", 1, 0.765)]
    (row,) = pairs_table(BY_SEED, pd.concat([ROUNDS, pd.DataFrame(more, columns=list(ROUND_COLUMNS))])).sections[0].rows
    # 0.75 and 0.85: mean 0.8, deviation of the mean 0.05, t of one degree of freedom 12.7062.
    assert text_of(row[5], 1) == "-20.0 [-83.5, 43.5] (2 rounds)"


def test_the_time_of_steps_that_were_not_timed_is_not_measured():
    on_b = BY_SEED[BY_SEED.combination == "b"]
    assert beside("dots_rr", "dots", on_b, ROUNDS)[2] == Missing(Why.NOT_MEASURED)
    headings = [column.heading for column in pairs_table(BY_SEED, ROUNDS).columns]
    assert "time of a step" in headings
    # A column of nothing is left out, with a word on it.
    table = pairs_table(on_b, ROUNDS)
    assert [column.heading for column in table.columns] == [name for name in headings if name != "time of a step"]
    assert table.notes[-1] == NOT_TIMED and NOT_TIMED not in pairs_table(BY_SEED, ROUNDS).notes
    (row,) = table.sections[0].rows
    assert text_of(row[3], 2) == "4.00 [4.00, 4.00]" and text_of(row[4], 0) == "-50 [-50, -50]" and row[5] == "2 of 2"


def test_one_run_has_no_interval_and_none_no_row():
    (row,) = pairs_table(BY_SEED[(BY_SEED.seed == 1) & (BY_SEED.combination == "a")], ROUNDS).sections[0].rows
    assert text_of(row[3], 2) == "2.00" and row[-1] == "1 of 1"
    assert pairs_table(BY_SEED[BY_SEED.method == "dots"], ROUNDS).sections[0].rows == ()


def test_all_pairs_are_of_known_methods():
    assert {name for pair in PAIRS for name in pair[:2]} <= LOOKS.keys()
