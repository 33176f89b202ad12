"""A training pool by what a model can do: shares of questions that it never, sometimes, or always solves.

    python -m data_prep.pool train.parquet --labels labels.parquet --hard 0.4 --easy 0.4 --out data/pool.parquet

Labels are those of verl_dots.difficulty.collect for the model that a run begins with: a question with no right rollout
is hard, one with no wrong rollout is easy, all others are mixed. Without --size the pool is as large as the labels
allow. Questions keep the order of the data set.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.table import Table

from data_prep.difficulty_labels import HARDEST, VERL_COLUMNS, labelled_parser, read_difficulties, read_verl_rows
from data_prep.problems import SourceError
from data_prep.schema import write_batches
from verl_dots import __version__
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.provenance import made_by, read_provenance
from verl_dots.data.rows import read_batches
from verl_dots.files import OutputError, try_output
from verl_dots.terminal import output

GENERATOR, VERSION = "data_prep.pool", 1
KINDS = ("hard", "mixed", "easy")


def kind_of(difficulty: float) -> str:
    """hard where no rollout was right, easy where none was wrong, else mixed; difficulty in [0, 100]."""
    return "hard" if difficulty >= HARDEST else "easy" if difficulty <= 0 else "mixed"


def pool_counts(there: Sequence[int], shares: Sequence[float], size: int | None) -> list[int]:
    """Questions of each kind in a pool.

    Args:
        there: questions of each kind that there are.
        shares: of the pool, of each kind; they sum to 1. What rounding down leaves goes to those that lose most by it.
        size: of the pool; None for the greatest that `there` allows.

    Raises:
        SourceError: there are too few of a kind.
    """
    shares = [share if share > 1e-9 else 0.0 for share in shares]  # 1 - 0.7 - 0.3 is not quite 0
    if size is None:
        size = min(int(count / share + 1e-9) for count, share in zip(there, shares, strict=True) if share > 0)
    counts = [int(size * share + 1e-9) for share in shares]
    most_cut = sorted(range(len(shares)), key=lambda place: round(counts[place] - size * shares[place], 9))
    for place in most_cut[: size - sum(counts)]:
        counts[place] += 1
    for kind, count, found in zip(KINDS, counts, there, strict=True):
        if count > found:
            raise SourceError(
                f"--size {size}: the pool needs {count} {kind} questions and there are {found}; make it smaller, "
                "change --hard and --easy, or label more questions",
                key="--size",
                reason="size",
            )
    if size < 1:
        raise SourceError(
            f"no pool has these shares: there are {dict(zip(KINDS, there, strict=True))}", key="--hard", reason="data"
        )
    return counts


def make_pool(
    data: Path, labels: Sequence[Path], out: Path, shares: Sequence[float], size: int | None, seed: int
) -> dict[str, int]:
    """Write a pool; its questions of each kind.

    Raises:
        QuestionError, SourceError: a file cannot be read, a row has no label, or there are too few of a kind.
    """
    known = read_difficulties(labels)
    places: dict[str, list[int]] = {kind: [] for kind in KINDS}
    for row, asked in enumerate(read_verl_rows(data, VERL_COLUMNS)):
        difficulty, _ = known.find(asked.id, asked.text)
        if difficulty is None:
            raise SourceError(f"{data} row {row} has no label: {asked.text[:80]!r}", key="--labels", reason="data")
        places[kind_of(difficulty)].append(row)
    counts = pool_counts([len(places[kind]) for kind in KINDS], shares, size)
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(places[kind], count, replace=False) for kind, count in zip(KINDS, counts, strict=True)]
    table = pa.Table.from_batches(read_batches(data))
    table = table.take(pa.array(np.sort(np.concatenate(drawn).astype(np.int64))))
    provenance = {
        "generator": GENERATOR,
        "version": VERSION,
        "verl_dots": __version__,
        "data": read_provenance(data) or data.name,
        "labels": [file.name for file in labels],
        "counts": dict(zip(KINDS, counts, strict=True)),
        "seed": seed,
    }
    write_batches(table.to_batches(), out, table.schema, provenance)
    return provenance["counts"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line entry; bad input ends with a message and exit status 2."""
    parser = labelled_parser("pool", __doc__, "of verl_dots.difficulty.collect")
    parser.add_argument("--hard", type=float, default=0.4, help="share without a right rollout (default: %(default)s)")
    parser.add_argument("--easy", type=float, default=0.4, help="share without a wrong rollout (default: %(default)s)")
    parser.add_argument("--size", type=int, help="questions of the pool (default: as many as there can be)")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (default: %(default)s)")
    options = parser.parse_args(arguments)
    hard, easy = options.hard, options.easy
    if not (0 <= hard <= 1 and 0 <= easy <= 1 and hard + easy <= 1):
        parser.error(f"--hard {hard:g} --easy {easy:g}: both must be shares in 0..1, and their sum at most 1")
    if options.size is not None and options.size < 1:
        parser.error(f"--size {options.size}: must be 1 or more")
    shares = (hard, 1 - hard - easy, easy)
    try:
        try_output(options.out, inputs=[options.data, *options.labels], made=made_by(GENERATOR))
        counts = make_pool(options.data, options.labels, options.out, shares, options.size, options.seed)
    except (QuestionError, SourceError, OutputError) as error:
        parser.error(str(error))
    table = Table("kind", "questions", title=f"{options.data} to {options.out}", title_justify="left")
    for kind, count in counts.items():
        table.add_row(kind, f"{count:,}")
    output().print(table)


if __name__ == "__main__":
    main()
