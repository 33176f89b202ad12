"""AIME24: 30 questions of the American Invitational Mathematics Examination of 2024, for evaluation.

    python -m data_prep.aime24 --out data/aime24.parquet

Reads the usual sets of the hub: columns in capitals or not, an answer or a boxed one in the solution. Answers are
integers of up to three digits; leading zeros go.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, Unusable, answer_or_box, optional_text, text_of
from data_prep.sources import Hub


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns problem, answer or solution, id."""
    question, answer = text_of(row, "question", "problem", "Problem", "question"), answer_or_box(row)
    if not answer.isdecimal():
        raise Unusable("no integer for an answer")
    return Problem(question, str(int(answer)), {"source_id": optional_text(row, "id") or optional_text(row, "ID")})


AIME24 = DataSet(
    module="aime24",
    data_source="aime24",
    hub=Hub("math-ai/aime24", splits={"test": "test"}),
    convert=convert,
    extra=("source_id",),
    evaluation=True,
    expected={"test": 30},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(AIME24, arguments, __doc__)


if __name__ == "__main__":
    main()
