r"""Read an answer's text into what it is: lists are split, names and relations taken apart, values parsed.

Ground truths and responses are read by the same rules. What nothing else fits is words, compared as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from verl_dots.rewards.answers.intervals import as_pieces
from verl_dots.rewards.answers.kinds import Answer, Collection, Congruence, Either, Named, Relation, Value
from verl_dots.rewards.answers.relations import is_calculation, is_false
from verl_dots.rewards.expressions.tree import Node
from verl_dots.rewards.expressions.values import variables
from verl_dots.rewards.reading import numbers
from verl_dots.rewards.reading.amounts import read_amount
from verl_dots.rewards.reading.brackets import CLOSING, OPENING, depth, first_end, split, split_at, unwrapped
from verl_dots.rewards.reading.lists import both_signs, conjunction, round_ends
from verl_dots.rewards.reading.matrices import split_cases, split_matrix, split_system
from verl_dots.rewards.reading.sides import bare_name, is_name, joined, split_signs
from verl_dots.rewards.reading.tails import split_modulus, without_condition
from verl_dots.rewards.reading.value import expression, read_value
from verl_dots.rewards.reading.word_forms import has_clauses, split_choice, without_option, words
from verl_dots.rewards.text.latex import clean, strip_end
from verl_dots.rewards.units.behind_numbers import currency, split_unit

_AND = re.compile(
    r"\s*,?\s*(?:\\text\{\s*,?\s*(?:and|or|AND|OR|And|Or|&)\s*,?\s*\}|(?<![A-Za-z\\])(?:and|or|AND|OR)(?![A-Za-z]))\s*|\s*;\s*|,\s+|\s*\\text\{,\s*\}\s*|\s*\\lor\s*|\s*\\vee\s*"
)
_NOTHING = re.compile(r"^\\\{\s*\\\}$")
_LEAD = re.compile(r"^(?:(?:\\approx|\\sim)(?![a-z])|=|:|(?:about|approximately|around|roughly)\b)\s*")
_TUPLES = re.compile(r"(?:\([^()]*,[^()]*\)\s*){2,}")
_COMMA = re.compile(r"\s*[,;]\s*")
_CUP = re.compile(r"\s*\\cup(?![a-z])\s*")
_WITHOUT = re.compile(r"\s*(?:\\(?:small)?setminus(?![a-z])|-(?=\s*\\\{))\s*")
_SIGN = re.compile(r"\\(?:pm|mp)(?![a-z])")
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
    text = without_condition(re.sub(r"\)\s*(?=\()", "), ", text) if _TUPLES.fullmatch(text) else text)
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
    if (amount := read_amount(text)) is not None:
        return Either((amount, _collection("list", split(text, _COMMA)))) if "," in text else amount
    core, modulus = split_modulus(text)
    members, separators = split_at(text, _AND)
    if modulus and (len(members) == 1 or "=" not in core):  # of n = 1 or n = 2 mod 4 it is the last one's
        return Congruence(_read(core), _read(modulus))
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
    for reader in (_read_system, _read_relation, _read_union, _read_difference, _read_matrix, _read_brackets):
        if (answer := reader(text)) is not None:
            return answer
    return read_value(text)


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
        sides = (_read(left), _read(right))
        rough = Relation(sides, ("=",))
        far = "\\equiv" not in text and is_calculation(rough) and is_false(rough)
        return words(text) if far else Either(sides)
    if signs[0] == "in" and len(signs) == 1:
        return Named(bare_name(parts[0]), _read(parts[1]))
    if all(sign == "=" for sign in signs) and is_name(parts[0], parts[-1]):
        return _named(bare_name(parts[0]), _read(parts[-1]))
    sides = tuple(_read_part(part) for part in parts)
    if signs == ["="] and is_name(parts[1]) and isinstance(sides[0], Value) and not variables(sides[0].node):
        return Named(bare_name(parts[1]), sides[0])
    return Relation(sides, tuple(signs), tuple(bare_name(part) if is_name(part) else "" for part in parts))


def _named(name: str, answer: Answer) -> Answer:
    """A value with its name; a tuple of names has one for each member, as (x, y) = (1, 2) has."""
    parts = name[1:-1].split(",") if re.fullmatch(r"\([A-Za-z]\w*(?:,[A-Za-z]\w*)+\)", name) else ()
    if isinstance(answer, Collection) and answer.kind == "tuple" and len(parts) == len(answer.members):
        return replace(answer, members=tuple(map(Named, parts, answer.members)))
    return Named(name, answer)


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


def _read_system(text: str) -> Answer | None:
    """Equations in rows are a list of them, and of a function by cases each row is a value with its condition."""
    equations = [_read(row) for row in split_system(text) or ()]
    if len(equations) == 1:
        return equations[0]
    if equations and all(isinstance(one, Named | Relation) for one in equations):
        return Collection("list", tuple(equations))
    cases = split_cases(text)
    rows = [Collection("matrix", tuple(map(_read, case))) for case in cases or ()]
    return Collection("cases", tuple(rows)) if rows else None


def _read_matrix(text: str) -> Answer | None:
    matrix = split_matrix(text)
    if matrix is None:
        return None
    factor = expression({"": "1", "-": "-1"}.get(matrix.factor, matrix.factor))
    cells = [[_read_part(cell) for cell in row] for row in matrix.rows]
    if matrix.factor:
        if not all(isinstance(part, Value) for part in [factor, *(cell for row in cells for cell in row)]):
            return None
        cells = [[Value(Node("multiply", (factor.node, cell.node))) for cell in row] for row in cells]
    return _matrix(cells)


def _matrix(rows: Sequence[Sequence[Answer]]) -> Collection:
    return Collection("matrix", tuple(Collection("matrix", tuple(row)) for row in rows))


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
    answer = _collection("tuple", members, brackets)
    rows = [row.members for row in answer.members if isinstance(row, Collection) and row.brackets == "[]"]
    table = brackets == "[]" and len(rows) == len(members) and len(set(map(len, rows))) == 1
    return Either((answer, _matrix(rows))) if table else answer


def _read_set(inner: str) -> Answer:
    condition = re.split(r"\s*(?<!\\)[|:]\s*", inner, maxsplit=1)
    if len(condition) == 2 and split_signs(condition[1])[1]:
        relation = _read(condition[1])
        if isinstance(relation, Relation) or as_pieces(relation) is not None:
            return relation
    return _collection("set", [part for member in split(inner, _AND) for part in split(member, _COMMA)])
