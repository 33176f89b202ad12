"""The command line that all data sets share.

python -m data_prep.math --out data/math.parquet
python -m data_prep.deepscaler --out data/deepscaler.parquet --sample 10240 --seed 1 --exclude data/math500.parquet
python -m data_prep.gsm8k --split test --source downloads/gsm8k --out data/gsm8k_test.parquet
"""

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.table import Table

from data_prep.pipeline import DataSet, prepare
from data_prep.problems import SourceError
from data_prep.selection import SelectionError
from data_prep.sources import open_source
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.provenance import made_by
from verl_dots.data.questions import ON_CONFLICT
from verl_dots.files import OutputError, try_output
from verl_dots.terminal import output

AddOptions = Callable[[argparse.ArgumentParser], None]


def build_parser(data_set: DataSet, description: str, add_options: AddOptions | None = None) -> argparse.ArgumentParser:
    """The shared options, and a data set's own."""
    parser = argparse.ArgumentParser(
        prog=f"python -m data_prep.{data_set.module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hub = data_set.hub
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="parquet file to write")
    parser.add_argument(
        "--source", metavar="PATH_OR_HUB_ID", help=f"file, folder or hub id (default: {hub.id if hub else 'none'})"
    )
    parser.add_argument(
        "--split",
        choices=data_set.splits,
        help=f"part of the data set (default: {data_set.splits[0]}; left out, the only split of a set of the hub is "
        "taken even where it has a name of its own)",
    )
    parser.add_argument("--config", help="the hub's configuration, if not the usual one")
    parser.add_argument("--revision", help="the hub's commit, tag or branch")
    parser.add_argument("--system", metavar="TEXT", help="a system message before the question")
    parser.add_argument("--sample", type=_positive, metavar="N", help="so many questions, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: %(default)s)")
    parser.add_argument(
        "--exclude", nargs="+", default=[], metavar="EVAL.parquet", help="leave out questions that occur in these files"
    )
    parser.add_argument(
        "--conflicts", choices=ON_CONFLICT, default="keep" if data_set.evaluation else "drop",
        help="questions that occur with different answers (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--drop-unmatchable", action="store_true", help="leave out questions whose right responses may get no reward"
    )
    parser.add_argument("--max-prompt-tokens", type=_positive, metavar="N", help="leave out longer prompts")
    parser.add_argument("--tokenizer", metavar="PATH", help="folder or hub id, for --max-prompt-tokens")
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="no progress bar")
    if add_options:
        add_options(parser)
    return parser


def run(data_set: DataSet, arguments: Sequence[str] | None, description: str, add_options: AddOptions | None = None):
    """Prepare a data set and print the rows of each step; bad input ends with a message and exit status 2."""
    parser = build_parser(data_set, description, add_options)
    options = parser.parse_args(arguments)
    asked = options.split is not None
    options.split = options.split or data_set.splits[0]
    if (options.max_prompt_tokens is None) != (options.tokenizer is None):
        parser.error("--max-prompt-tokens and --tokenizer go together; give both or neither")
    if options.out.suffix != ".parquet":
        parser.error(f"--out {options.out}: must end in .parquet")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        inputs = [options.source] if options.source and Path(options.source).is_file() else []
        try_output(options.out, [*inputs, *options.exclude], made=made_by(f"data_prep.{data_set.module}"))
        source = open_source(options.source, data_set.hub, options.split, options.config, options.revision, asked)
        counts = prepare(data_set, source, options)
    except (QuestionError, SourceError, SelectionError, OutputError) as error:
        parser.error(str(error))
    table = Table("step", "rows", title=f"{source.name} to {options.out}", title_justify="left")
    table.columns[0].overflow, table.columns[1].justify = "fold", "right"
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    output().print(table)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value
