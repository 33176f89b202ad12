r"""Read an answer's text into what it is: lists are split, names and relations taken apart, values parsed.

Ground truths and responses are read by the same rules. What nothing else fits is words, compared as text.
"""

from __future__ import annotations

import re
from dataclasses import replace

from verl_dots.rewards import number_reading as numbers
from verl_dots.rewards.answers import Answer, Based, Collection, Either, Named, Ratio, Relation, Value
from verl_dots.rewards.bracket_text import CLOSING, OPENING, depth, first_end, split, split_at, unwrapped
from verl_dots.rewards.expression_tree import number
from verl_dots.rewards.expression_values import variables
from verl_dots.rewards.expressions import ParseError, parse_expression
from verl_dots.rewards.intervals import as_pieces
from verl_dots.rewards.latex_text import clean, strip_end
from verl_dots.rewards.list_text import both_signs, conjunction, round_ends
from verl_dots.rewards.relation_text import bare_name, is_name, joined, split_signs
from verl_dots.rewards.units import currency, split_scale, split_unit
from verl_dots.rewards.word_text import has_clauses, has_words, split_choice, without_option, words

_AND = re.compile(
    r"\s*,?\s*(?:\\text\{\s*,?\s*(?:and|or|AND|OR|And|Or|&)\s*,?\s*\}|(?<![A-Za-z\\])(?:and|or|AND|OR)(?![A-Za-z]))\s*|\s*;\s*|,\s+|\s*\\text\{,\s*\}\s*|\s*\\lor\s*|\s*\\vee\s*"
)
_FOR_ALL = re.compile(
    r"\s*,?\s*(?:\\text\{\s*,?\s*for (?:all|any|every|each)(?: (?:real|positive|integer|number)s?)*\s*\}|\\forall)"
    r"\s*[a-z]?\s*(?:\\in\s*\\mathbb\s*\{?\s*[A-Z]\s*\}?(?:\s*[_^]\s*(?:\{[^{}]*\}|[+\d*]))*)?$"
)
_NOTHING = re.compile(r"^\\\{\s*\\\}$")
_LEAD = re.compile(r"^(?:(?:\\approx|\\sim)(?![a-z])|=|:|(?:about|approximately|around|roughly)\b)\s*")
_TUPLES = re.compile(r"(?:\([^()]*,[^()]*\)\s*){2,}")
_COMMA = re.compile(r"\s*[,;]\s*")
_CUP = re.compile(r"\s*\\cup(?![a-z])\s*")
_WITHOUT = re.compile(r"\s*(?:\\(?:small)?setminus(?![a-z])|-(?=\s*\\\{))\s*")
_SIGN = re.compile(r"\\(?:pm|mp)(?![a-z])")
_COLON = re.compile(r"\s*:\s*")
_MATRIX = re.compile(
    r"\\begin\{(?:[pbvBV]?matrix|array|smallmatrix)\}(?:\{[^{}]*\})?(.*)\\end\{(?:[pbvBV]?matrix|array|smallmatrix)\}",
    re.DOTALL,
)
_CONTENT = re.compile(r"[^\s{}()\[\]\\.,;:$!?'\"`*~_-]")  # brackets and punctuation say nothing
_POINT = re.compile(r"(?<=^[A-Z])\s*(?=\([^()]*,[^()]*\)$)")  # P(3,4) is the point P=(3,4)
_MOST_MEMBERS = 2000
_MOST_DEPTH = 60


def read(text: str) -> Answer | None:
    """Read an answer as it is written; None if nothing is in it."""
    money = currency(text)
    text = round_ends(strip_end(clean(text)))
    if depth(text) > _MOST_DEPTH:
        return words(text)
    text = without_option(_LEAD.sub("", unwrapped(text)))
    letter, value = split_choice(text)
    if letter:
        return Named(f"choice {letter}", Either((_read(letter), _read(value))))
    text = _NOTHING.sub(r"\\emptyset", text)
    text = _FOR_ALL.sub("", re.sub(r"\)\s*(?=\()", "), ", text) if _TUPLES.fullmatch(text) else text)
    if not _CONTENT.search(text):
        return None
    answer = _read(text)
    return replace(answer, unit=money) if isinstance(answer, Value) and not answer.unit and money else answer


def _read(text: str) -> Answer:
    text = strip_end(unwrapped(text))
    text = re.sub(r"(?<=\d),\s+(?=0\d\d(?!\d))", ",", text)  # 36, 000
    text = re.sub(r"(?<=[)\]])\s*U\s*(?=[(\[])", r" \\cup ", text)
    if (number := numbers.read_number(text)) is not None:
        if "," in text and not re.search(r",0", text):
            return Either((number, _collection("list", split(text, _COMMA))))
        return number
    members, separators = split_at(text, _AND)
    if len(members) > 1 and not has_clauses(text):
        return _collection("list", members, conjunction([mark[0] for mark in separators]))
    members = split(text, _COMMA)
    if len(members) > 1 and not numbers.is_grouped(_bare(text)):
        return _collection("list", members)
    return _read_member(text)


def _bare(text: str) -> str:
    """A number's text without its name, sign and unit."""
    text = split_unit(text)[0]
    return re.split(r"=|\\in|\\approx", text)[-1].strip()


def _collection(kind: str, members: list[str], brackets: str = "") -> Answer:
    found: list[Answer] = []
    for member in members[:_MOST_MEMBERS]:
        if not member.strip():
            continue
        answer = _read(member) if kind == "list" else _read_part(member)
        if kind != "tuple" and isinstance(answer, Collection) and answer.kind == "list":
            found += answer.members
        else:
            found.append(answer)
    return Collection(kind, tuple(found), brackets)


def _read_part(text: str) -> Answer:
    """A member of a tuple or a set, in which a comma never parts groups of digits."""
    return _read_member(strip_end(text))


def _read_member(text: str) -> Answer:
    text = _POINT.sub("=", text)
    parted = len(split(text, _CUP)) > 1 or len(split(text, _WITHOUT)) > 1
    if _SIGN.search(text) and not parted and not (text.startswith("\\{") and first_end(text) == len(text)):
        return _both_signs(text)
    for reader in (_read_relation, _read_union, _read_difference, _read_matrix, _read_brackets):
        if (answer := reader(text)) is not None:
            return answer
    return _read_single(text)


def _both_signs(text: str) -> Answer:
    r"""`1 \pm x` is the list of 1 + x and 1 - x."""
    return words(text) if len(_SIGN.findall(text)) > 6 else _collection("list", both_signs(text))


def _read_relation(text: str) -> Answer | None:
    parts, signs = split_signs(text)
    if not signs or not all(part.strip() for part in parts):
        return None
    if "~" in signs:
        at = signs.index("~")
        left, right = joined(parts[: at + 1], signs[:at]), joined(parts[at + 1 :], signs[at + 1 :])
        if len(parts) == 2 and is_name(parts[0]):
            return Named(bare_name(parts[0]), _read(parts[1]))
        return Either((_read(left), _read(right)))
    if signs[0] == "in" and len(signs) == 1:
        return Named(bare_name(parts[0]), _read(parts[1]))
    if all(sign == "=" for sign in signs) and is_name(parts[0], parts[-1]):
        return Named(bare_name(parts[0]), _read(parts[-1]))
    sides = tuple(_read_part(part) for part in parts)
    if signs == ["="] and is_name(parts[1]) and isinstance(sides[0], Value) and not variables(sides[0].node):
        return Named(bare_name(parts[1]), sides[0])
    return Relation(sides, tuple(signs), tuple(bare_name(part) if is_name(part) else "" for part in parts))


def _read_union(text: str) -> Answer | None:
    parts = split(text, _CUP)
    if len(parts) == 1:
        return None
    union = _collection("union", parts)
    if all(isinstance(part, Collection) and part.kind == "set" for part in union.members):
        return Collection("set", tuple(member for part in union.members for member in part.members))
    return union


def _read_difference(text: str) -> Answer | None:
    parts = split(text, _WITHOUT)
    if len(parts) != 2 or not all(parts):
        return None
    return Collection("difference", tuple(map(_read_part, parts)))


def _read_matrix(text: str) -> Answer | None:
    match = _MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[1]:
        return None
    body = re.sub(r"\\hline|\\\\\s*\[[^\]]*\]", lambda found: "\\\\" if found[0].startswith("\\\\") else "", match[1])
    rows = [row for row in body.split("\\\\") if row.strip()]
    made = [Collection("matrix", tuple(_read_part(cell) for cell in row.split("&"))) for row in rows]
    return Collection("matrix", tuple(made))


def _read_brackets(text: str) -> Answer | None:
    opening = next((mark for mark in OPENING[:4] if text.startswith(mark)), None)
    closing = next((mark for mark in CLOSING[:4] if text.endswith(mark)), None)
    if opening is None or closing is None or first_end(text) != len(text):
        return None
    inner = text[len(opening) : -len(closing)].strip()
    if opening == "\\{" and closing == "\\}":
        return _read_set(inner)
    if not inner or opening == "\\{" or closing == "\\}":
        return None
    members = [part for part in split(inner, re.compile(r"\s*[,;]\s*|\s*\\text\{and\}\s*")) if part.strip()]
    brackets = opening.replace("\\langle", "(") + closing.replace("\\rangle", ")")
    if len(members) == 1:
        return _read(inner) if brackets in ("()", "[]") else None
    return _collection("tuple", members, brackets)


def _read_set(inner: str) -> Answer:
    condition = re.split(r"\s*(?<!\\)[|:]\s*", inner, maxsplit=1)
    if len(condition) == 2 and split_signs(condition[1])[1]:
        relation = _read(condition[1])
        if isinstance(relation, Relation) or as_pieces(relation) is not None:
            return relation
    return _collection("set", [part for member in split(inner, _AND) for part in split(member, _COMMA)])


def _read_single(text: str) -> Answer:
    text = numbers.expand_repeating(re.sub(r"\\ldots\s*$", "", text).strip())
    for reader in (numbers.read_number, numbers.read_count, numbers.read_based, _read_time_or_ratio):
        if (answer := reader(text)) is not None:
            return answer
    core, unit = split_unit(text)
    if unit:
        answer = _read_single(strip_end(core))
        if isinstance(answer, Value):
            return _with_unit(answer, unit)
        if isinstance(answer, Ratio | Collection | Either | Based):
            return answer
        return words(text)
    return _expression(text)


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
        members = tuple(_expression(part) for part in parts)
        ratio = Ratio(members) if all(isinstance(member, Value) for member in members) else None
    if clock and ratio:
        return Either((clock, ratio))
    return clock or ratio


def _expression(text: str) -> Answer:
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
    if re.fullmatch(r"[a-z]{3}", text):
        readings.append(words(text))
    return readings[0] if len(readings) == 1 or readings[0] == readings[1] else Either(tuple(readings))
