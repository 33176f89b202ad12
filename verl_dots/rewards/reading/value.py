r"""Read the text of one value: a number, a count, a time, a ratio, an amount with its unit, an expression, or words.

The texts are such as `text.latex.clean` has cleaned.
"""

from __future__ import annotations

import re

from verl_dots.rewards.answers.kinds import Answer, Based, Collection, Either, Ratio, Value, Words
from verl_dots.rewards.expressions.parser import ParseError, parse_expression
from verl_dots.rewards.expressions.tree import number
from verl_dots.rewards.reading import numbers
from verl_dots.rewards.reading.brackets import split
from verl_dots.rewards.reading.word_forms import has_words, words
from verl_dots.rewards.text.latex import strip_end
from verl_dots.rewards.units.behind_numbers import split_scale, split_unit

_COLON = re.compile(r"\s*:\s*")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}([-/])\d{1,2}\1\d{4}")


def read_value(text: str) -> Answer:
    """Read a text that is no collection and no relation."""
    if word := re.fullmatch(r"\\text\{([A-Za-z]+)\}", text):
        return numbers.read_count(word[1]) or words(text)
    text = numbers.expand_repeating(re.sub(r"\\ldots\s*$", "", text).strip())
    for reader in (numbers.read_number, numbers.read_count, numbers.read_based, _read_time_or_ratio):
        if (answer := reader(text)) is not None:
            return answer
    core, unit = split_unit(text)
    if unit:
        answer = read_value(strip_end(core))
        if isinstance(answer, Value):
            return _with_unit(answer, unit)
        if isinstance(answer, Ratio | Collection | Either | Based):
            return answer
        return words(text)
    return expression(text)


def _with_unit(value: Value, unit: str) -> Answer:
    """A value with its unit; 2 million is 2,000,000 as well, since a question may ask for millions."""
    written = Value(value.node, value.decimal, value.places, unit)
    scale, rest = split_scale(unit)
    if scale is None or value.node.kind != "number":
        return written
    places = None if value.places is None else max(0, value.places - len(str(scale)) + 1)
    return Either((Value(number(value.node.value * scale), value.decimal, places, rest), written))


def _read_time_or_ratio(text: str) -> Answer | None:
    if (hour := numbers.read_hour(text)) is not None:
        return Either((hour, Value(number(hour.hour))))
    clock = numbers.read_clock(text)
    parts = split(re.sub(r"^(\d+)\s*(?:\\text\{\s*to\s*\}|\bto\b)\s*(\d+)$", r"\1:\2", text), _COLON)
    ratio = None
    if len(parts) > 1 and all(parts) and not (clock and (clock.half or re.search(r":\s*0\d", text))):
        members = tuple(expression(part) for part in parts)
        ratio = Ratio(members) if all(isinstance(member, Value) for member in members) else None
    if clock and ratio:
        return Either((clock, ratio))
    return clock or ratio


def expression(text: str) -> Answer:
    """Read a text as one expression without a unit, or as words where it is none."""
    if _DATE.fullmatch(text):
        return words(text)
    compact = numbers.join_spaced(text)
    compact = re.sub(r"(?<![\d,])(\d{1,3}(?:,\d{3})+)(?![\d,])", lambda match: match[0].replace(",", ""), compact)
    if has_words(compact):
        return words(text)
    readings: list[Answer] = []
    for tight in (False, True) if "/" in compact else (False,):
        try:
            readings.append(Value(parse_expression(compact, tight)))
        except ParseError:
            return words(text)
    if re.fullmatch(r"[a-z]{3}", text) or Words(text).is_range:
        readings.append(words(text))
    return readings[0] if len(readings) == 1 or readings[0] == readings[1] else Either(tuple(readings))
