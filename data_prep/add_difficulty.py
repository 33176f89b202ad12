"""Put difficulties into a data set: extra_info.difficulty in [0, 100], 100 the hardest, as dots.adarft reads it.

    python -m data_prep.add_difficulty data/math.parquet --labels labels.parquet --out data/math_rated.parquet

Labels come from verl_dots.difficulty.collect, data_prep.judge, or any verl-schema file with extra_info.difficulty, such
as the AdaRFT paper's. Questions are found by id, else by their text.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.table import Table

from data_prep.difficulty_labels import (
    VERL_COLUMNS,
    DifficultyLabels,
    labelled_parser,
    read_difficulties,
    read_verl_rows,
)
from data_prep.problems import SourceError
from data_prep.schema import ROWS_PER_GROUP, batches, write_batches
from verl_dots import __version__
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.provenance import made_by, read_provenance
from verl_dots.data.rows import require_columns
from verl_dots.files import OutputError, try_output
from verl_dots.terminal import output

GENERATOR, VERSION = "data_prep.add_difficulty", 1
FIELD = "difficulty"
SHOWN = 3


def add_difficulty(data: Path, labels: DifficultyLabels, out: Path, drop: bool, about: Mapping[str, Any]) -> Counter:
    """Write ``data`` with difficulties to ``out``; how many rows were found by id, by text and not at all.

    The file is read piece by piece, once to find the labels and once to write.

    Args:
        drop: leave out rows without a label, instead of an error.
        about: goes into provenance.

    Raises:
        QuestionError: ``data`` cannot be read, or is not in verl's schema.
        SourceError: rows without a label and not ``drop``, none with one, or a row that is no question.
    """
    schema = _with_difficulty(data)
    counts: Counter[str] = Counter()
    lost: list[str] = []
    for asked in read_verl_rows(data):
        difficulty, by = labels.find(asked.id, asked.text)
        counts[by] += 1
        if difficulty is None and len(lost) < SHOWN:
            lost.append(asked.text[:80])
    if not counts["id"] + counts["text"]:
        text = f"none of the {sum(counts.values())} questions of {data} has a label; are these its labels?"
        raise SourceError(text, key=str(data), reason="data")
    if counts["nothing"] and not drop:
        raise SourceError(
            f"{counts['nothing']} of {sum(counts.values())} questions of {data} have no label, the first: {lost}; "
            "leave them out with --unmatched drop",
            key="--unmatched",
            reason="data",
        )
    provenance = {
        "generator": GENERATOR,
        "version": VERSION,
        "verl_dots": __version__,
        "data": read_provenance(data) or data.name,
        "counts": dict(counts),
        **about,
    }
    groups = batches(_rated(data, labels), ROWS_PER_GROUP)
    try:
        write_batches((pa.RecordBatch.from_pylist(rows, schema=schema) for rows in groups), out, schema, provenance)
    except pa.ArrowException as error:  # of a JSON file whose rows differ
        text = f"the rows of {data} differ in type ({error}); python -m verl_dots.check {data} --clean FOLDER mends it"
        raise SourceError(text, key=str(data), reason="type") from error
    return counts


def _rated(data: Path, labels: DifficultyLabels) -> Iterator[dict[str, Any]]:
    """The rows that have a label, with it."""
    for asked in read_verl_rows(data):
        difficulty, _ = labels.find(asked.id, asked.text)
        if difficulty is not None:
            yield {**asked.row, "extra_info": {**(asked.row["extra_info"] or {}), FIELD: difficulty}}


def _with_difficulty(data: Path) -> pa.Schema:
    """The file's schema, and a difficulty in extra_info."""
    schema = require_columns(data, VERL_COLUMNS, "; it must be verl's schema")
    place = schema.get_field_index("extra_info")
    kind = schema.field(place).type
    fields = [field for field in kind if field.name != FIELD] if pa.types.is_struct(kind) else []
    return schema.set(place, pa.field("extra_info", pa.struct([*fields, pa.field(FIELD, pa.float64())])))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry; bad input ends with a message and exit status 2."""
    parser = labelled_parser("add_difficulty", __doc__, "files that hold the difficulties")
    parser.add_argument(
        "--unmatched",
        choices=("error", "drop"),
        default="error",
        help="what becomes of questions without a label (default: %(default)s)",
    )
    parser.add_argument(
        "--range", type=float, nargs=2, default=(0.0, 100.0), metavar=("EASIEST", "HARDEST"),
        help="difficulties in the label files that become 0 and 100 (default: 0 100)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if not all(map(math.isfinite, options.range)):
        parser.error(f"--range {options.range[0]:g} {options.range[1]:g}: both must be numbers")
    about = {"labels": [file.name for file in options.labels], "range": list(options.range)}
    try:
        try_output(options.out, inputs=[options.data, *options.labels], made=made_by(GENERATOR))
        labels = read_difficulties(options.labels, *options.range)
        counts = add_difficulty(options.data, labels, options.out, options.unmatched == "drop", about)
    except (QuestionError, SourceError, OutputError) as error:
        parser.error(str(error))
    table = Table("question found by", "rows", title=f"{options.data} to {options.out}", title_justify="left")
    for name in ("id", "text", "nothing"):
        table.add_row(name, f"{counts[name]:,}")
    output().print(table)


if __name__ == "__main__":
    main()
