"""Verifiable questions for a tiny model: train.parquet and val.parquet in verl's schema.

    python -m data_prep.arithmetic --out data/arithmetic --train 4096 --val 512 --seed 1

Every family and level (`data_prep.families`) gets the same share, to within one question. No prompt occurs
twice, in one split or in both. Validation questions depend on ``--seed`` and ``--val`` only, so they stay the same
when the training set grows. The same arguments give the same bytes.
"""

from collections.abc import Sequence

from data_prep.families import FAMILIES, LEVELS, make_problem
from data_prep.splits import Task, command

TASK = Task(
    name="arithmetic",
    cells=tuple((family, level) for level in range(1, LEVELS + 1) for family in FAMILIES),
    make=make_problem,
    facts={"families": list(FAMILIES), "levels": LEVELS},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry; bad values end with a usage message and exit status 2."""
    command(TASK, __doc__, arguments)


if __name__ == "__main__":
    main()
