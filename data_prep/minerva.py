"""Minerva Math: 272 questions of undergraduate science, for evaluation.

python -m data_prep.minerva --out data/minerva.parquet
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, answer_or_box, text_of
from data_prep.sources import Hub


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns question (or problem) and answer, or a solution with a box."""
    return Problem(text_of(row, "question", "question", "problem"), answer_or_box(row))


MINERVA = DataSet(
    module="minerva",
    data_source="minerva",
    hub=Hub("math-ai/minervamath", splits={"test": "test"}),
    convert=convert,
    evaluation=True,
    expected={"test": 272},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(MINERVA, arguments, __doc__)


if __name__ == "__main__":
    main()
