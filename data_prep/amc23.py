"""AMC23: 40 questions of the American Mathematics Competitions of 2023, for evaluation.

python -m data_prep.amc23 --out data/amc23.parquet
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, answer_or_box, optional_text, text_of
from data_prep.sources import Hub


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns question (or problem), answer, id."""
    question = text_of(row, "question", "question", "problem")
    return Problem(question, answer_or_box(row), {"source_id": optional_text(row, "id")})


AMC23 = DataSet(
    module="amc23",
    data_source="amc23",
    hub=Hub("math-ai/amc23", splits={"test": "test"}),
    convert=convert,
    extra=("source_id",),
    evaluation=True,
    expected={"test": 40},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(AMC23, arguments, __doc__)


if __name__ == "__main__":
    main()
