"""DeepMath-103K: 103 thousand hard questions for training, rated by their authors.

    python -m data_prep.deepmath --out data/deepmath.parquet --sample 8192 --seed 1

The authors' rating (-1 to 10, higher is harder) becomes extra_info.level: extra_info.difficulty is in [0, 100]
everywhere in this project.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, number_of, optional_text, text_of
from data_prep.sources import Hub


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns question, final_answer, difficulty, topic."""
    extra = {"level": number_of(row, "difficulty"), "subject": optional_text(row, "topic")}
    return Problem(text_of(row, "question", "question"), text_of(row, "answer", "final_answer"), extra)


DEEPMATH = DataSet(
    module="deepmath",
    data_source="deepmath",
    hub=Hub("zwhe99/DeepMath-103K"),
    convert=convert,
    extra=("level", "subject"),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(DEEPMATH, arguments, __doc__)


if __name__ == "__main__":
    main()
