"""The training questions of the E3 paper: MATH, Omni-MATH, AMC and AIME, in verl's schema.

    python -m data_prep.e3 --source downloads/e3_train.parquet --out data/e3.parquet

There is no data set of the hub: --source is the file that the authors published. Their `rank` in [0, 1] and the origin
of each question stay in extra_info; the reward is that of "math".
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, from_verl_row, number_of, optional_text, value_of


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """verl's columns, and rank."""
    for name in ("prompt", "reward_model"):
        value_of(row, name)
    problem = from_verl_row(row)
    extra = {"origin": optional_text(row, "data_source"), "rank": number_of(row, "rank")}
    return Problem(problem.question, problem.answer, extra)


E3 = DataSet(module="e3", data_source="math", hub=None, convert=convert, extra=("origin", "rank"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(E3, arguments, __doc__)


if __name__ == "__main__":
    main()
