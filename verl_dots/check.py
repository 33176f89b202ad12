"""Check data sets before they are trained on: `python -m verl_dots.check DATA.parquet... [--tokenizer MODEL]`.

Every row is read, every ground truth put to the reward that scores it, duplicates and lengths are counted. Exit: 0 when
all is well (repeated questions and conflicting answers are told of, and wrong with --strict), 1 when rows are wrong,
2 when a file cannot be read at all.
"""

import argparse
import logging
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from verl_dots.data_check import ERRORS, UNREADABLE_ANSWER, WARNINGS, FileReport, check_files
from verl_dots.questions import QuestionError
from verl_dots.reporting.tables import NOTHING, markdown
from verl_dots.rewards.compute import answer_problem, source_problem

MOST_NUMBERS = 20  # rows of a kind that are named
MOST_SOURCES = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parse(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s")
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    try:
        length = _length(options.tokenizer) if options.tokenizer else None
        reports = check_files(
            options.data,
            prompt_key=options.prompt_key,
            sources=None if options.skip_answers else source_problem,
            answers=None if options.skip_answers else answer_problem,
            length=length,
            most_tokens=options.max_prompt_tokens,
            progress=sys.stderr.isatty(),
        )
    except (QuestionError, OSError) as error:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"error: {error}")
        return 2
    console.print(overview(reports) + "\n")
    for line in findings(reports):
        console.print(line)
    wrong = (*ERRORS, *WARNINGS) if options.strict else (*ERRORS, UNREADABLE_ANSWER)
    bad = sum(report.count(wrong) for report in reports)
    rows = sum(report.rows for report in reports)
    console.print(f"{bad} of {rows} rows are wrong." if bad else f"All {rows} rows can be trained on.")
    return int(bad > 0)


def overview(reports: Sequence[FileReport]) -> str:
    """A table with one row a file, columns of problems only where there are some."""
    kinds = [kind for kind in (*ERRORS, *WARNINGS) if any(kind in report.problems for report in reports)]
    header = ["file", "rows", "questions", "data sources", "prompt characters (median, most)", "most tokens", *kinds]
    rows = []
    for report in reports:
        lengths = report.characters or [0]
        sources = sorted(report.sources)
        more = f" and {len(sources) - MOST_SOURCES} more" if len(sources) > MOST_SOURCES else ""
        rows.append([
            report.path.name, str(report.rows), str(report.questions), ", ".join(sources[:MOST_SOURCES]) + more,
            f"{statistics.median(lengths):.0f}, {max(lengths)}",
            NOTHING if report.tokens is None else str(report.tokens),
            *(str(len(report.problems.get(kind, ()))) for kind in kinds),
        ])  # fmt: skip
    return markdown(header, rows)


def findings(reports: Sequence[FileReport]) -> list[str]:
    """What is wrong, and the numbers of the rows."""
    lines = []
    for report in reports:
        for kind, rows in report.problems.items():
            more = f" and {len(rows) - MOST_NUMBERS} more" if len(rows) > MOST_NUMBERS else ""
            lines.append(f"{report.path}: {kind}, {len(rows)} rows: {', '.join(map(str, rows[:MOST_NUMBERS]))}{more}")
            lines += [f"    row {row}: {message}" for message, row in report.messages[kind].items()]
    return lines


def _length(path: str):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    if not tokenizer.chat_template:
        raise QuestionError(f"the tokenizer of {path} has no chat template; name a chat model's")
    return lambda messages: len(
        tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=True)["input_ids"]
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m verl_dots.check", description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA", help="parquet file in verl's schema")
    parser.add_argument("--tokenizer", metavar="MODEL", help="count tokens with this model's tokenizer and template")
    parser.add_argument("--max-prompt-tokens", type=int, metavar="N", help="longer prompts are wrong")
    parser.add_argument("--prompt-key", default="prompt", metavar="COLUMN", help="column of the prompts")
    parser.add_argument("--skip-answers", action="store_true", help="do not put answers to the reward")
    parser.add_argument("--strict", action="store_true", help="repeated questions and conflicting answers are wrong")
    options = parser.parse_args(arguments)
    if options.max_prompt_tokens is not None and (options.max_prompt_tokens < 1 or not options.tokenizer):
        parser.error("--max-prompt-tokens takes a number of 1 or more, and a --tokenizer that counts them")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
