"""DeepScaleR: 40 thousand competition questions for training.

    python -m data_prep.deepscaler --out data/deepscaler.parquet --sample 10240 --seed 1

Reads the hub's data set, or files of it that are in verl's schema already, such as those that the DOTS and AdaRFT
papers published: their prompts are written anew, and a difficulty in [0, 100] stays.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, from_verl_row, is_verl_row, text_of
from data_prep.sources import Hub


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns problem and answer, or verl's."""
    if is_verl_row(row):
        return from_verl_row(row)
    return Problem(text_of(row, "question", "problem"), text_of(row, "answer", "answer"))


DEEPSCALER = DataSet(
    module="deepscaler",
    data_source="deepscaler",
    hub=Hub("agentica-org/DeepScaleR-Preview-Dataset"),
    convert=convert,
    extra=("difficulty",),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(DEEPSCALER, arguments, __doc__)


if __name__ == "__main__":
    main()
