"""MATH500: 500 questions of MATH's test split, for evaluation.

python -m data_prep.math500 --out data/math500.parquet
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, number_of, optional_text, text_of
from data_prep.sources import Hub


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns problem, answer, subject, level (1 to 5), unique_id."""
    level = number_of(row, "level")
    extra = {
        "level": None if level is None else int(level),
        "subject": optional_text(row, "subject"),
        "source_id": optional_text(row, "unique_id"),
    }
    return Problem(text_of(row, "question", "problem"), text_of(row, "answer", "answer"), extra)


MATH500 = DataSet(
    module="math500",
    data_source="math500",
    hub=Hub("HuggingFaceH4/MATH-500", splits={"test": "test"}),
    convert=convert,
    extra=("level", "subject", "source_id"),
    evaluation=True,
    expected={"test": 500},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(MATH500, arguments, __doc__)


if __name__ == "__main__":
    main()
