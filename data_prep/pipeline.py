"""From a source's raw rows to a parquet file in verl's schema: the steps that all sets share, in two readings.

    1st reading   convert each row; leave out what is damaged, excluded or too long; note a digest of the others
    between       settle repeats and conflicts, sample
    2nd reading   convert the rows that stay once more and write them

Memory does not grow with the rows but by their digests. The same source and arguments give the same bytes.
"""

import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from data_prep.answers import AnswerCheck
from data_prep.filters import Exclusion, LengthLimit
from data_prep.problems import LeftOut, Problem, SourceError, Unusable
from data_prep.schema import EXTRA_FIELDS, batches, make_row, row_schema, write_stream
from data_prep.selection import CONFLICTING, Digests, Selection
from data_prep.sources import Hub, Source
from data_prep.text import with_instruction
from verl_dots import __version__

logger = logging.getLogger(__name__)

VERSION = 1
BATCH_ROWS = 1024
DAMAGED = "damaged: "
SHARED_FIELDS = ("question", "source_row")
UNMATCHABLE = "may match no right response: "


@dataclass(frozen=True)
class DataSet:
    """What is particular about a data set.

    Attributes:
        module: name of its script.
        data_source: picks the reward function.
        hub: where it is published; None if nowhere.
        convert: raw row and options to a problem; raises LeftOut, Unusable or SourceError.
        extra: further fields of extra_info, of those in `EXTRA_FIELDS`; those without any value are not written.
        evaluation: an evaluation set; its splits keep questions that contradict each other.
        expected: number of questions as published, by split.
        other_count: what to say where the number is another one.
        prompt: question to user message.
        row_types: what its raw rows may be.
    """

    module: str
    data_source: str
    hub: Hub | None
    convert: Callable[[Mapping[str, Any], Namespace], Problem]
    extra: Sequence[str] = ()
    evaluation: bool = False
    expected: Mapping[str, int] = field(default_factory=dict)
    other_count: str = "is the source another version?"
    ability: str = "math"
    prompt: Callable[[str], str] = with_instruction
    row_types: tuple[type, ...] = (Mapping,)

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits, the default first."""
        return tuple(self.hub.splits) if self.hub else ("train",)


def messages(data_set: DataSet, problem: Problem, system: str | None) -> list[dict[str, str]]:
    """The prompt of a problem."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": data_set.prompt(problem.question)}]


def prepare(data_set: DataSet, source: Source, options: Namespace) -> dict[str, int]:
    """Write ``options.out``; the rows of each step, in order, "rows read" first and "rows written" last.

    Raises:
        SourceError: the source is not what it should be, or nothing is left of it.
        SelectionError: conflicts or sample size, see `Digests.select`.
    """
    counts: Counter[str] = Counter({"rows read": 0})
    exclusion = Exclusion(options.exclude)
    answers = AnswerCheck(data_set.data_source)
    digests, used = _first_reading(data_set, source, options, exclusion, answers, counts)
    selection = digests.select(options.conflicts, options.sample, options.seed)
    left = len(selection.position_K)
    steps = {**counts, **selection.counts, "rows written": left}
    if not left:
        raise SourceError(f"nothing is left of {source.name}: {_shown(steps)}", key=source.name, reason="data")
    provenance = {
        "generator": f"data_prep.{data_set.module}",
        "version": VERSION,
        "verl_dots": __version__,
        "source": {"name": source.name, **source.about},
        "split": options.split,
        "arguments": _arguments(options),
        "counts": steps,
        "excluded": dict(exclusion.counts),
    }
    schema = row_schema({name: EXTRA_FIELDS[name] for name in (*SHARED_FIELDS, *data_set.extra) if name in used})
    write_stream(_second_reading(data_set, source, options, selection, answers), options.out, schema, provenance)
    unmatchable = answers.counts()
    _warn(data_set, options, steps, unmatchable)
    return (
        steps
        | {f"{UNMATCHABLE}{kind}": count for kind, count in unmatchable.items()}
        | {f"excluded by {file}": count for file, count in exclusion.counts.items()}
    )


def _first_reading(
    data_set: DataSet,
    source: Source,
    options: Namespace,
    exclusion: Exclusion,
    answers: AnswerCheck,
    counts: Counter[str],
) -> tuple[Digests, set[str]]:
    """Digests of the questions that pass, and the fields of extra_info that have a value in any of them."""
    digests, used = Digests(), set(SHARED_FIELDS)
    limit = LengthLimit(options.max_prompt_tokens, options.tokenizer) if options.max_prompt_tokens else None

    def problems() -> Iterator[tuple[int, Problem]]:
        for position, row in enumerate(_progress(source.read(), "reading", options)):
            counts["rows read"] += 1
            try:
                problem = _convert(data_set, row, position, options)
            except LeftOut as reason:
                counts[f"{DAMAGED if isinstance(reason, Unusable) else 'left out: '}{reason}"] += 1
                continue
            if exclusion.holds(problem.question):
                counts["left out: in an evaluation set"] += 1
                continue
            yield position, problem

    for batch in batches(problems(), BATCH_ROWS):
        reasons = _reasons(data_set, [problem for _, problem in batch], options, limit, answers)
        for (position, problem), reason in zip(batch, reasons, strict=True):
            if reason:
                counts[f"left out: {reason}"] += 1
                continue
            digests.add(position, problem.question, problem.answer)
            used |= {name for name, value in problem.extra.items() if value is not None}
    if not counts["rows read"]:
        raise SourceError(f"{source.name} has no rows", key=source.name, reason="data")
    if sum(count for name, count in counts.items() if name.startswith(DAMAGED)) == counts["rows read"]:
        text = f"none of the rows of {source.name} can be used: {_shown(counts)}; is this the right --source?"
        raise SourceError(text, key=source.name, reason="data")
    return digests, used


def _reasons(
    data_set: DataSet, problems: Sequence[Problem], options: Namespace, limit: LengthLimit | None, answers: AnswerCheck
) -> list[str | None]:
    """Why problems are left out, None for those that stay."""
    reasons: list[str | None] = [None] * len(problems)
    if options.drop_unmatchable:
        reasons = answers.kinds([problem.answer for problem in problems])
    if limit:
        fits = limit.fits([messages(data_set, problem, options.system) for problem in problems])
        long = f"more than {options.max_prompt_tokens} prompt tokens"
        reasons = [reason if short else long for reason, short in zip(reasons, fits, strict=True)]
    return reasons


def _second_reading(
    data_set: DataSet, source: Source, options: Namespace, selection: Selection, answers: AnswerCheck
) -> Iterator[dict[str, Any]]:
    """Rows in verl's schema, numbered from 0 in the source's order; their answers are checked."""
    wanted = iter(selection.position_K.tolist())
    position_wanted, index = next(wanted), 0
    for position, row in enumerate(_progress(source.read(), "writing", options)):
        if position != position_wanted:
            continue
        problem = _convert(data_set, row, position, options)
        extra = {name: value for name, value in problem.extra.items() if value is not None}
        answers.add(problem.answer)
        yield make_row(
            data_source=data_set.data_source,
            prompt=messages(data_set, problem, options.system),
            ability=data_set.ability,
            ground_truth=problem.answer,
            index=index,
            split=options.split,
            extra={"question": problem.question, "source_row": position, **extra},
        )
        index += 1
        position_wanted = next(wanted, None)
        if position_wanted is None:
            return
    raise SourceError(
        f"{source.name} lost rows while it was read; nothing was written, run it again", key=source.name, reason="file"
    )


def _convert(data_set: DataSet, row: Any, position: int, options: Namespace) -> Problem:
    """The problem in a row. Raises LeftOut, Unusable, or SourceError that names the row: it is of another source."""
    try:
        if not isinstance(row, data_set.row_types):
            raise SourceError(
                f"expected columns, got {row!r:.80}; is this the right --source?", key="--source", reason="type"
            )
        return data_set.convert(row, options)
    except SourceError as error:
        raise SourceError(f"row {position} of the source: {error}", key=error.key, reason=error.reason) from error
    except (ValueError, TypeError) as error:
        text = f"row {position} of the source: {error}, in {row!r:.200}; is this the right --source?"
        raise SourceError(text, key="--source", reason="data") from error


def _progress(rows: Iterable[Any], doing: str, options: Namespace) -> Iterable[Any]:
    """The same rows with a progress bar; none where standard error is no terminal."""
    return tqdm(rows, desc=doing, unit=" rows", disable=None if options.progress else True)


def _arguments(options: Namespace) -> dict[str, Any]:
    """The arguments that decide what is written; where it is written does not."""
    without = {"out", "progress", "source", "split"}
    return {name: value for name, value in sorted(vars(options).items()) if name not in without}


def _warn(data_set: DataSet, options: Namespace, steps: Mapping[str, int], unmatchable: Mapping[str, int]) -> None:
    """Log rows that were damaged, in conflict or cannot be matched, and another number of questions than published."""
    if unmatchable:
        logger.warning(
            "right responses to %d of %d questions may get no reward (%s); leave them out with --drop-unmatchable",
            sum(unmatchable.values()), steps["rows written"], _shown(unmatchable),
        )  # fmt: skip
    for name, count in steps.items():
        if count and name.startswith(DAMAGED):
            logger.warning("%d rows %s", count, name)
        elif count and name == CONFLICTING:
            logger.warning("%d rows left out: %s", count, name)
    expected, narrowed = (
        data_set.expected.get(options.split),
        options.sample or options.exclude or options.drop_unmatchable,
    )
    if expected and not narrowed and not options.max_prompt_tokens and steps["rows written"] != expected:
        logger.warning(
            "%s has %d questions as published, here are %d; %s",
            data_set.data_source, expected, steps["rows written"], data_set.other_count,
        )  # fmt: skip


def _shown(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
