"""Have a language model rate how difficult questions are, through an OpenAI-compatible chat endpoint.

    OPENAI_API_KEY=... python -m data_prep.judge data/math.parquet --endpoint https://api.openai.com/v1 \\
        --model gpt-4o-mini --out labels.parquet --requests-per-minute 300
    python -m data_prep.judge data/math.parquet --endpoint http://localhost:8000/v1 --model MODEL --out labels.parquet

Ratings are 1 to 5, or easy, mid and hard (--scale thirds); `difficulty` in the label file is in [0, 100], for
data_prep.add_difficulty. A job that stops resumes when the same command is repeated. Questions whose
replies hold no rating, and those that the endpoint refuses while it answers others, are left out and counted.
"""

import argparse
import asyncio
import logging
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
from rich.table import Table

from data_prep.chat import ChatSettings, EndpointError
from data_prep.journal import Journal
from data_prep.problems import SourceError
from data_prep.ratings import SCALES, TASK, rate
from data_prep.schema import write_batches
from verl_dots import __version__
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.provenance import read_provenance
from verl_dots.data.questions import Questions, read_questions
from verl_dots.data.rows import read_rows
from verl_dots.files import OutputError, try_output
from verl_dots.terminal import errors, output

VERSION = 1
FAILED, INTERRUPTED = 1, 130
SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("question_id", "text", "answer", "rating")] + [("difficulty", pa.float64())]
)


def write_labels(path: Path, questions: Questions, ratings: Mapping[str, str], options: argparse.Namespace) -> None:
    """Write the label file, questions in the data's order; those without a rating are left out."""
    scale = SCALES[options.scale]
    rows = [
        {
            "question_id": name,
            "text": text,
            "answer": answer,
            "rating": ratings[name],
            "difficulty": scale[ratings[name]],
        }
        for name, text, answer in zip(questions.ids, questions.texts, questions.answers, strict=True)
        if name in ratings
    ]
    provenance = {
        "generator": "data_prep.judge",
        "version": VERSION,
        "verl_dots": __version__,
        "data": options.data.name,
        "settings": _settings(options),
        "counts": {"questions": len(questions), "rated": len(rows)},
    }
    write_batches([pa.RecordBatch.from_pylist(rows, schema=SCHEMA)], path, SCHEMA, provenance)


def read_ratings(options: argparse.Namespace) -> dict[str, str]:
    """Ratings by question id in the label file of an earlier run of the command; none if there is no file.

    Raises:
        SourceError: the file was written with other settings, or by something else.
    """
    if not options.out.exists():
        return {}
    try:
        there = read_provenance(options.out).get("settings")
        rows = list(read_rows(options.out, ("question_id", "rating")))
    except QuestionError as error:
        raise SourceError(
            f"--out {options.out} is there and no label file: {error}", key="--out", reason="file"
        ) from error
    if there != _settings(options):
        text = f"--out {options.out} is there, written with other settings ({there}); choose another name"
        raise SourceError(text, key="--out", reason="other run")
    return {row["question_id"]: row["rating"] for row in rows}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep.judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA.parquet", help="questions in verl's schema")
    parser.add_argument("--endpoint", required=True, metavar="URL", help="of the chat endpoint; usually ends in /v1")
    parser.add_argument("--model", required=True, help="name of the model at the endpoint")
    parser.add_argument("--out", type=Path, required=True, metavar="LABELS.parquet", help="label file to write")
    parser.add_argument("--scale", choices=tuple(SCALES), default="1-5", help="of the ratings (default: %(default)s)")
    parser.add_argument(
        "--api-key-env",
        default="OPENAI_API_KEY",
        metavar="NAME",
        help="variable that holds the key (default: %(default)s)",
    )
    parser.add_argument("--requests-per-minute", type=float, metavar="N", help="at most so many (default: no limit)")
    parser.add_argument(
        "--concurrency", type=int, default=8, metavar="N", help="requests at the same time (default: %(default)s)"
    )
    parser.add_argument(
        "--retries", type=int, default=6, metavar="N", help="of a request that failed (default: %(default)s)"
    )
    parser.add_argument(
        "--first-wait",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="before a retry; doubles (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="of a request (default: %(default)s)"
    )
    parser.add_argument(
        "--temperature", type=float, default=0.0, help="of the ratings; below 0: the endpoint's own (default: 0)"
    )
    parser.add_argument("--no-progress", dest="progress", action="store_false", help="no progress bar")
    options = parser.parse_args(arguments)
    for name in ("requests_per_minute", "concurrency", "timeout"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            parser.error(f"--{name.replace('_', '-')} {value:g}: must be a number above 0")
    for name in ("retries", "first_wait"):
        if not 0 <= getattr(options, name) < math.inf:
            parser.error(f"--{name.replace('_', '-')} {getattr(options, name):g}: must be a number of at least 0")
    if not math.isfinite(options.temperature):
        parser.error(f"--temperature {options.temperature:g}: must be a number")
    if not _is_address(options.endpoint):
        parser.error("--endpoint is no address; it begins with http:// or https://, and a host follows")
    return options


def _is_address(endpoint: str) -> bool:
    """Whether requests can be sent there. It is in no message: it may hold a password."""
    try:
        address = urlsplit(endpoint)
        return address.scheme in ("http", "https") and bool(address.hostname) and (address.port or 1) > 0
    except ValueError:  # a port or a host that is none
        return False


def read_key(name: str) -> str | None:
    """The key in a variable of the environment; None where it is not set.

    Raises:
        SourceError: no header can hold it. The message names the variable alone.
    """
    key = os.environ.get(name)
    places = [place for place, letter in enumerate(key or "", start=1) if not "!" <= letter <= "~"]
    if places:
        text = f"the key in {name} has a character at place {places[0]} that no header may have"
        words = "keys are of ASCII, without spaces and line ends; set it anew"
        raise SourceError(f"{text}: {words}", key=name, reason="data")
    return key


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """What decides a rating; ratings of other settings are not mixed with these."""
    return {"model": options.model, "scale": options.scale, "temperature": options.temperature, "task": TASK}


def judge(options: argparse.Namespace) -> Counter:
    """Rate and write; how many questions got each rating, and "no rating".

    Raises:
        OutputError, SourceError, QuestionError, EndpointError: see there.
    """
    try_output(options.out, inputs=[options.data])
    scale, finished = SCALES[options.scale], read_ratings(options)
    questions = read_questions([options.data], on_conflict="keep")
    settings = ChatSettings(
        endpoint=options.endpoint,
        model=options.model,
        api_key=read_key(options.api_key_env),
        requests_per_minute=options.requests_per_minute,
        concurrency=options.concurrency,
        retries=options.retries,
        first_wait_seconds=options.first_wait,
        timeout_seconds=options.timeout,
        temperature=options.temperature if options.temperature >= 0 else None,
    )
    with Journal(options.out.with_name(options.out.name + ".journal.jsonl"), _settings(options)) as journal:
        unrated = asyncio.run(rate(questions, settings, scale, journal, finished, options.progress))
        ratings = finished | journal.done
        found = Counter(ratings[name] for name in questions.ids if name in ratings)
        if not found:
            raise EndpointError(f"none of the {len(questions)} replies held a rating; can {options.model} do this?")
        write_labels(options.out, questions, ratings, options)
        journal.remove()
    return Counter({rating: found[rating] for rating in scale} | {"no rating": len(unrated)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 (failed on the way, repeat to resume) or 2 (bad input)."""
    options = parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        counts = judge(options)
    except (SourceError, QuestionError, OutputError) as error:
        errors().print(f"judge: {error}")
        return 2
    except EndpointError as error:
        errors().print(f"judge: {error}. What is rated is kept; repeat to resume")
        return FAILED
    except KeyboardInterrupt:
        errors().print("judge: interrupted; the same command resumes where it was")
        return INTERRUPTED
    table = Table("rating", "questions", title=str(options.out), title_justify="left")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    output().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
