"""GSM8K: word problems of primary school, 7,473 for training and 1,319 for evaluation.

    python -m data_prep.gsm8k --out data/gsm8k.parquet
    python -m data_prep.gsm8k --split test --out data/gsm8k_test.parquet

The answer stands behind the `####` of the worked solution; commas between thousands go.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.command import run
from data_prep.pipeline import DataSet
from data_prep.problems import Problem, Unusable, text_of
from data_prep.sources import Hub

MARK = "####"


def convert(row: Mapping[str, Any], options: Namespace) -> Problem:
    """Columns question and answer ("... #### 1,080")."""
    question, solution = text_of(row, "question", "question"), text_of(row, "answer", "answer")
    answer = solution.rpartition(MARK)[2].strip().replace(",", "")
    if MARK not in solution or not answer:
        raise Unusable(f"no answer behind {MARK}")
    return Problem(question, answer)


GSM8K = DataSet(
    module="gsm8k",
    data_source="gsm8k",
    hub=Hub("openai/gsm8k", "main", {"train": "train", "test": "test"}),
    convert=convert,
    expected={"train": 7473, "test": 1319},
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry."""
    run(GSM8K, arguments, __doc__)


if __name__ == "__main__":
    main()
