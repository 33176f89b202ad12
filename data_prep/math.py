"""MATH (Hendrycks et al., 2021): competition mathematics in five levels, of which levels 3 to 5 are trained on.

    python -m data_prep.math --out data/math.parquet

Reads the hub's data set or the original folder (MATH/train/algebra/1.json, ...). The answer is the last box of the
solution.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import LeftOut, Problem, answer_or_box, optional_text, text_of
from data_prep.sources import Hub

LEVELS = (1, 2, 3, 4, 5)


def convert(row: Mapping[str, Any], options: argparse.Namespace) -> Problem:
    """Columns problem, level ("Level 5"), type, solution."""
    found = re.fullmatch(r"(?:Level )?([1-5])", text_of(row, "level", "level"))
    level = int(found.group(1)) if found else None
    if level not in options.levels:
        raise LeftOut(f"level {level or 'unknown'}")
    subject = optional_text(row, "type") or optional_text(row, "subject")
    return Problem(text_of(row, "question", "problem"), answer_or_box(row), {"level": level, "subject": subject})


MATH = DataSet(
    module="math",
    data_source="math",
    hub=Hub("DigitalLearningGmbH/MATH-lighteval", splits={"train": "train", "test": "test"}),
    convert=convert,
    extra=("level", "subject"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """--levels."""
    parser.add_argument(
        "--levels", type=int, nargs="+", choices=LEVELS, default=[3, 4, 5], help="levels to keep (default: 3 4 5)"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(MATH, arguments, __doc__, add_options)


if __name__ == "__main__":
    main()
