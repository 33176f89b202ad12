"""Check data sets before they are trained on: `python -m verl_dots.check DATA.parquet... [--tokenizer MODEL]`.

Every row is read, every ground truth put to the reward that scores it, duplicates and lengths are counted, and the
types of the files' columns compared. Exit: 0 when all is well (repeated questions and conflicting answers are told of,
and wrong with --strict), 1 when rows are wrong or the files do not go together, 2 when a file or the tokenizer cannot
be read at all. `--clean FOLDER` writes the files there without the wrong rows, all with the same types.
"""

import argparse
import json
import logging
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from verl_dots.data.checks import check_files
from verl_dots.data.cleaning import places, write_clean
from verl_dots.data.column_types import type_problems
from verl_dots.data.columns import require_free_columns
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.file_report import ERRORS, KINDS, UNMATCHABLE, WARNINGS, FileReport
from verl_dots.data.prompt_length import Length, options_problem
from verl_dots.files import OutputError, parse_json
from verl_dots.rewards import compute
from verl_dots.terminal import errors, output, sentence
from verl_dots.texts import NOTHING, markdown

# Arguments of the call that counts: no option of a chat template can have such a name.
SET_HERE = ("conversation", "add_generation_prompt", "return_dict", "tokenize", "return_tensors", "padding")
MOST_NUMBERS = 20  # rows of a kind that are named without --all
MOST_SOURCES = 4
EXAMPLE = """'{"enable_thinking": false}'"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    console = output()
    wrong = (*ERRORS, *UNMATCHABLE, *(WARNINGS if options.strict else ()))
    try:
        where = places(options.data, options.clean) if options.clean else {}
        length = _length(options) if options.tokenizer else None
        require_free_columns(options.data)
        apart = [] if options.apart else type_problems(options.data)
        reports = check_files(
            options.data,
            prompt_key=options.prompt_key,
            rewards=None if options.skip_answers else compute,
            length=length,
            most_tokens=options.max_prompt_tokens,
            progress=sys.stderr.isatty(),
        )
        console.print(overview(reports) + "\n")
        for line in (*findings(reports, None if options.all else MOST_NUMBERS), *_of_types(apart)):
            console.print(line)
        if options.clean:
            rows = {str(report.path): report.numbers(wrong) for report in reports}
            counts = write_clean(where, rows)
            for report in reports:
                file = str(report.path)
                console.print(f"{where[file]}: {counts[file]} of {report.rows} rows of {file}")
            return 0
    except (QuestionError, OutputError, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    return _verdict(console, reports, wrong, apart)


def _verdict(console: Console, reports: Sequence[FileReport], wrong: Sequence[str], apart: Sequence[str]) -> int:
    """Print the last lines: the outcome, and what to do; the exit code."""
    bad = sum(report.count(wrong) for report in reports)
    rows = sum(report.rows for report in reports)
    together = ", but the files not together" if apart else ""
    console.print(f"{bad} of {rows} rows are wrong." if bad else f"All {rows} rows can be trained on{together}.")
    if bad or apart:
        console.print("--clean FOLDER writes the files there without the wrong rows, all with the same types.")
    return int(bool(bad or apart))


def _of_types(problems: Sequence[str]) -> list[str]:
    first = ["These files cannot be trained on together, for a column has one type:"] if problems else []
    return first + [f"    {problem}" for problem in problems]


def overview(reports: Sequence[FileReport]) -> str:
    """A table with one row a file, by its path where names repeat; columns of problems only where there are some."""
    kinds = [kind for kind in KINDS if any(kind in report.problems for report in reports)]
    names = Counter(report.path.name for report in reports)
    header = ["file", "rows", "questions", "data sources", "prompt characters (median, most)", "most tokens", *kinds]
    rows = []
    for report in reports:
        lengths = report.characters or [0]
        sources = sorted(report.sources)
        more = f" and {len(sources) - MOST_SOURCES} more" if len(sources) > MOST_SOURCES else ""
        rows.append([
            report.path.name if names[report.path.name] == 1 else str(report.path),
            str(report.rows), str(report.questions), ", ".join(sources[:MOST_SOURCES]) + more,
            f"{statistics.median(lengths):.0f}, {max(lengths)}",
            NOTHING if report.tokens is None else str(report.tokens),
            *(str(len(report.problems.get(kind, ()))) for kind in kinds),
        ])  # fmt: skip
    return markdown(header, rows)


def findings(reports: Sequence[FileReport], most: int | None = MOST_NUMBERS) -> list[str]:
    """What is wrong, and the numbers of the rows: the first `most` of each kind, or all."""
    lines = []
    for report in reports:
        for kind, rows in report.problems.items():
            shown = ", ".join(map(str, rows[:most]))
            more = f" and {len(rows) - most} more (--all names them)" if most is not None and len(rows) > most else ""
            lines.append(f"{report.path}: {kind}, {len(rows)} rows: {shown}{more}")
            lines += [f"    row {row}: {message}" for message, row in report.messages[kind].items()]
    return lines


def _length(options: argparse.Namespace) -> Length:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(options.tokenizer, trust_remote_code=options.trust_remote_code)
    except (OSError, ValueError) as error:
        text = f"{options.tokenizer} has no tokenizer that loads: {error}"
        raise QuestionError(text, key=options.tokenizer, reason="file") from error
    given = options.template_options
    if not tokenizer.chat_template and "chat_template" not in given:
        text = f"the tokenizer of {options.tokenizer} has no chat template; name a chat model's"
        raise QuestionError(text, key=options.tokenizer, reason="file")

    def length(messages: Sequence[Mapping[str, str]]) -> int:
        found = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=True, **given)
        return len(found["input_ids"])

    if why := options_problem(length):
        text = f"--template-options {json.dumps(given):.200} cannot be used: {why}; name options of the chat template"
        raise QuestionError(text, key="--template-options", reason="type")
    return length


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="parquet or JSON file in verl's schema")
    parser.add_argument("--clean", type=Path, metavar="FOLDER", help="write the files there without the wrong rows")
    parser.add_argument("--apart", action="store_true", help="files that are not for one run: types may differ")
    parser.add_argument("--tokenizer", metavar="MODEL", help="count tokens with this model's tokenizer and template")
    parser.add_argument(
        "--max-prompt-tokens", type=int, metavar="N", help="longer prompts are wrong (default: no limit)"
    )
    parser.add_argument(
        "--template-options",
        type=_mapping,
        default={},
        metavar="JSON",
        help="of the chat template, as a JSON object (default: {})",
    )
    parser.add_argument("--trust-remote-code", action="store_true", help="load a tokenizer that is code of its own")
    parser.add_argument(
        "--prompt-key", default="prompt", metavar="COLUMN", help="column of the prompts (default: %(default)s)"
    )
    parser.add_argument("--skip-answers", action="store_true", help="do not put answers to the reward")
    parser.add_argument("--all", action="store_true", help=f"name all wrong rows, not the first {MOST_NUMBERS} only")
    parser.add_argument("--strict", action="store_true", help="repeated questions and conflicting answers are wrong")
    options = parser.parse_args(arguments)
    if options.max_prompt_tokens is not None and (options.max_prompt_tokens < 1 or not options.tokenizer):
        parser.error("--max-prompt-tokens takes a number of 1 or more, and a --tokenizer that counts them")
    return options


def _mapping(text: str) -> dict[str, Any]:
    """A JSON object that sets none of what is set here."""
    try:
        value = parse_json(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text:.200} is no JSON ({error}); give an object, {EXAMPLE}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text:.200} is no JSON object; give one, {EXAMPLE}")
    if taken := sorted(set(value) & set(SET_HERE)):
        raise argparse.ArgumentTypeError(f"{', '.join(taken)} is set by this command; leave it out")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
