"""Two methods beside each other, run by run: what a part of a method brings, where each was measured against GRPO."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from verl_dots.evidence import over_rounds, over_seeds
from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.methods import LOOKS

RUN = ["combination", "seed"]
TIME = Column("time of a step", "%", digits=0)
NOTES = (
    "Each figure is by how much the method has more than the one that it is held against, or less.",
    "Better in: runs that end higher, of the same combination and seed.",
)
NOT_TIMED = "No two methods of a pair were timed in the same round."


class Pair(NamedTuple):
    """`method` against `other`, and what the difference between them is."""

    method: str
    other: str
    differ: str


PAIRS = (
    Pair("grpo_few", "grpo", "three epochs of 80 questions, in place of 240 of the whole pool"),
    Pair("mopps", "grpo_few", "of the same 80 questions those whose success rate may be near a half"),
    Pair("e3", "grpo_few", "of the same 80 questions the hard ones have more rollouts, and the temperature moves"),
    Pair("e3_temperature", "grpo_few", "the temperature moves to hold the entropy"),
    Pair("e3_annealing", "e3_temperature", "the entropy that is held falls late in the run"),
    Pair("e3", "e3_annealing", "the hard questions have more rollouts"),
    Pair("e3_entropy", "grpo_few", "an entropy bonus in the loss"),
    Pair("adarft_filter", "grpo", "the easiest and the hardest level are left out"),
    Pair("adarft_schedule", "adarft", "the target level rises evenly, whatever the reward"),
    Pair("dots_rr", "dots", "half of a batch is replayed, less where references are trained on"),
    Pair("adarft_rr", "adarft", "half of each batch is replayed"),
    Pair("dots_rr_levels", "dots_rr", "the predictor knows the levels, and no round is uniform"),
    Pair("dots", "adarft", "questions of predicted difficulty 0.5, in place of those nearest to a target level"),
    Pair("all", "dots_rr", "a moving target difficulty, a moving temperature, and rows without advantage left out"),
)


def pairs_table(by_seed: pd.DataFrame, rounds: pd.DataFrame) -> Table:
    """The differences of accuracy, tokens and time of a step, of the combinations and seeds that both have.

    Args:
        by_seed, rounds: of `verl_dots.evidence.measures`.
    """
    rows = tuple(row for pair in PAIRS if (row := _row(pair, by_seed, rounds)))
    columns = (
        Column("method"), Column("against"), Column("what differs"), Column("final accuracy", "points"),
        Column("generated tokens", "%", digits=0), TIME, Column("better in"),
    )  # fmt: skip
    notes = NOTES
    if all(isinstance(row[columns.index(TIME)], Missing) for row in rows):
        place, notes = columns.index(TIME), (*NOTES, NOT_TIMED)
        columns, *rows = (tuple(cells[:place] + cells[place + 1 :]) for cells in (columns, *rows))
    return Table("pairs", "What a part brings", columns, (Section("", tuple(rows)),), notes)


def beside(
    method: str, other: str, by_seed: pd.DataFrame, rounds: pd.DataFrame | None = None
) -> tuple[Cell, ...] | None:
    """By how much the final accuracy, tokens and time of a step of a method differ from another's, and in how many runs
    it ends higher, on the combinations and seeds that both have; None where there are none."""
    one, of_other = (by_seed[by_seed.method == name].set_index(RUN) for name in (method, other))
    both = one.index.intersection(of_other.index)
    if both.empty:
        return None
    points = 100 * (one.final_accuracy - of_other.final_accuracy).loc[both]
    tokens = 100 * ((one.generated_tokens / of_other.generated_tokens).loc[both] - 1)
    better = f"{int((points > 0).sum())} of {len(points)}"
    time = Missing(Why.NOT_MEASURED)
    if rounds is not None:
        time = _time(method, other, rounds[rounds.combination.isin(set(both.get_level_values("combination")))])
    return _figure(points), _figure(tokens), time, better


def _row(pair: Pair, by_seed: pd.DataFrame, rounds: pd.DataFrame) -> tuple[Cell, ...] | None:
    """None where there are no runs of both."""
    found = beside(pair.method, pair.other, by_seed, rounds)
    return found and (LOOKS[pair.method].label, LOOKS[pair.other].label, pair.differ, *found)


def _time(method: str, of_other: str, rounds: pd.DataFrame) -> Cell:
    """By how much a step takes longer, within the rounds that both have, and the interval of it."""
    one, other = (
        rounds[rounds.method == name].set_index(["combination", "round"]).step_ratio for name in (method, of_other)
    )
    ratios = (one / other).dropna()
    if ratios.empty:
        return Missing(Why.NOT_MEASURED)
    groups = [values.tolist() for _, values in ratios.groupby(level="combination")]
    mean, half = over_seeds.mean([over_seeds.mean(values) for values in groups]), over_rounds.half_width(groups)
    ends = (100 * (ratio - 1) for ratio in (mean, mean - half, mean + half))
    return Figure.between(*ends, remark=f"{len(ratios)} round{'s' if len(ratios) > 1 else ''}")


def _figure(difference: pd.Series) -> Cell:
    """The mean of the combinations, each alike, and its interval over their seeds."""
    if difference.isna().any():
        return Missing(Why.NOT_RECORDED)
    groups = [values.tolist() for _, values in difference.groupby(level="combination")]
    mean = over_seeds.mean([over_seeds.mean(values) for values in groups])
    return Figure.between(mean, *over_seeds.interval(groups), seeds=len(difference))
