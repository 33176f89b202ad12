"""Generations on disk: the journal of an evaluation that is under way, the parquet file of a finished one.

The journal, `generations.progress.jsonl`, holds the settings in its first line and a question with all its rollouts in
every other one. An evaluation that stops resumes from it. Rows of the parquet file are in the order of the data sets,
their questions and rollouts, so it has the same bytes however often the evaluation was interrupted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from verl_dots.data.provenance import read_provenance, write_table
from verl_dots.data.rows import require_columns
from verl_dots.evaluation.data_sets import DataSet
from verl_dots.journal import Journal, require_same_settings

GENERATIONS = "generations.parquet"
JOURNAL = "generations.progress.jsonl"
SCHEMA = pa.schema(
    [
        ("data_set", pa.string()),
        ("data_source", pa.string()),
        ("question_id", pa.string()),
        ("ground_truth", pa.string()),
        ("rollout", pa.int32()),
        ("response", pa.string()),
        ("tokens", pa.int32()),
        ("reward", pa.float64()),
        ("acc", pa.float64()),
        ("answer", pa.string()),
        ("stop_reason", pa.string()),
    ]
)
# (label of the data set, question id)
Key = tuple[str, str]


@dataclass(frozen=True)
class Generation:
    """One response to a question.

    Attributes:
        response: its text without special tokens.
        tokens: generated ones, the ending one included.
        reward: of the reward function.
        acc: 1 if the response is right: what the reward function says, or else whether its reward is 1 or more.
        answer: the final answer that could be read out of it, or None.
        stop_reason: "stop" if it came to an end, "length" if the limit cut it, or the engine's own word.
    """

    response: str
    tokens: int
    reward: float
    acc: float
    answer: str | None
    stop_reason: str


class GenerationJournal(Journal[Key, list[Generation]]):
    """All rollouts of the questions that are done."""

    def line_of(self, key: Key, value: Sequence[Generation]) -> dict[str, Any]:
        return {"key": list(key), "generations": [asdict(generation) for generation in value]}

    def read_line(self, line: Mapping[str, Any]) -> tuple[Key, list[Generation]]:
        return tuple(line["key"]), [Generation(**one) for one in line["generations"]]


def write_generations(
    path: Path, data_sets: Sequence[DataSet], done: Mapping[Key, Sequence[Generation]], provenance: Mapping[str, Any]
) -> pa.Table:
    """Write the generations of all questions, whole or not at all; the same ones give the same bytes.

    Raises:
        KeyError: a question is not done.
    """
    columns: dict[str, list] = {name: [] for name in SCHEMA.names}
    for data_set in data_sets:
        for question in data_set.questions:
            for rollout, generation in enumerate(done[data_set.label, question.id]):
                row = {
                    "data_set": data_set.label,
                    "data_source": question.row["data_source"],
                    "question_id": question.id,
                    "ground_truth": question.answer,
                    "rollout": rollout,
                    **asdict(generation),
                }
                for name in SCHEMA.names:
                    columns[name].append(row[name])
    table = pa.table(columns, schema=SCHEMA)
    write_table(path, table, provenance)
    return table


def read_generations(path: Path, settings: Mapping[str, Any]) -> pa.Table:
    """The generations of a finished evaluation, without the text of the responses.

    Raises:
        QuestionError: it is no parquet file, or one without generations.
        ConfigError: they were made with other settings.
    """
    require_columns(path, SCHEMA.names, "; it holds no generations: choose another --out")
    require_same_settings(read_provenance(path).get("settings", {}), settings, path)
    return pq.read_table(path, columns=[name for name in SCHEMA.names if name != "response"])
