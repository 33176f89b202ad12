"""Open-Reasoner-Zero: 57 thousand questions for training.

    python -m data_prep.open_reasoner_zero --out data/orz.parquet --sample 8192 --seed 1

A raw row is a conversation of two turns: [{"from": "human", "value": question}, {"from": "assistant", "ground_truth":
{"value": answer}}]. The hub gives the turns as the columns "0" and "1".
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, SourceError, text_of, value_of
from data_prep.sources import Hub


def convert(row: Any, options: Namespace) -> Problem:
    """A list of two turns, or a dict of them."""
    turns = row if isinstance(row, list) else [value_of(row, name) for name in ("0", "1")]
    if len(turns) != 2 or not all(isinstance(turn, Mapping) for turn in turns):
        raise SourceError(f"expected two turns, a question and an answer, got {row!r:.200}", reason="data")
    truth = value_of(turns[1], "ground_truth")
    if not isinstance(truth, Mapping):
        text = f"the second turn's ground_truth must be a dict with value, got {truth!r:.200}"
        raise SourceError(text, key="ground_truth", reason="type")
    return Problem(text_of(turns[0], "question", "value"), text_of(truth, "answer", "value"))


OPEN_REASONER_ZERO = DataSet(
    module="open_reasoner_zero",
    data_source="orz",
    hub=Hub("Open-Reasoner-Zero/orz_math_57k_collection"),
    convert=convert,
    row_types=(Mapping, list),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(OPEN_REASONER_ZERO, arguments, __doc__)


if __name__ == "__main__":
    main()
