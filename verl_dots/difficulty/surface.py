"""Surface columns: what a question and its ground truth look like, as numbers that need no model.

An embedding tells what a question is about. How long it is, which LaTeX it holds and above all what kind of number its
answer is say more of its difficulty: on real questions they correlate with it better than embeddings do.

Columns [P, len(COLUMNS)], each a pure function of the two texts, counts and magnitudes as log(1 + x):

    question    lengths, numerals, operators, structure; 1 for each LaTeX command and key word that occurs
    answer      kind, lengths, magnitude, how many numbers, whether the question names it

A programming task's ground truth is code or tests: it is cut at `ANSWER_CHARACTERS` and counts as text.
"""

import hashlib
import math
import re
from collections.abc import Sequence

import numpy as np

FORMAT = 1  # to be raised where a column changes its meaning
ANSWER_CHARACTERS = 200
MAGNITUDE_LIMIT = 30.0  # of log10: greater numbers count alike

# One column each: any of the words occurs. A space parts alternatives.
KEY_WORDS = (
    "find determine", "calculate compute evaluate", "prove show", "solve", "express", "simplify", "many", "much",
    "probability random randomly", "maximum greatest largest", "minimum smallest least", "integer integers",
    "positive", "negative", "real", "complex", "prime primes", "digit digits", "divisible divisor divisors",
    "remainder modulo", "factor factors multiple", "even odd", "consecutive", "distinct different", "exactly", "all",
    "possible", "every", "exists exist", "unique", "such", "triangle triangles", "circle circles", "square squares",
    "rectangle rectangular", "polygon hexagon pentagon octagon", "quadrilateral trapezoid parallelogram rhombus",
    "sphere cone cylinder pyramid tetrahedron cube prism", "angle angles", "area", "volume", "perimeter circumference",
    "radius diameter", "tangent", "perpendicular parallel", "isosceles equilateral", "inscribed circumscribed",
    "midpoint bisector altitude median", "point points", "line lines", "plane coordinate coordinates",
    "ellipse hyperbola parabola", "vector vectors", "matrix determinant", "polynomial polynomials", "quadratic",
    "function functions", "derivative monotonic increasing decreasing", "inequality", "equation equations",
    "root roots", "sequence sequences", "arithmetic", "geometric", "series infinite", "sum", "product",
    "ratio", "average mean",
    "percent percentage", "set sets subset subsets", "ways arrangements", "permutation permutations combinations",
    "choose chosen select selected", "ordered", "pairs pair triples", "game player players", "coin coins dice die",
    "color colored colors", "grid board chessboard", "graph", "figure diagram shown", "following", "correct true false",
    "if", "then", "let", "given", "suppose", "range", "value", "total", "each", "cost price dollars money",
    "hours minutes hour days day time", "speed miles kilometers meters", "people students children boys girls", "log",
    "terms term", "coefficient expansion", "base", "constant", "fraction", "decimal", "equal equals", "respectively",
    "length", "common", "satisfies satisfy satisfying", "form", "nearest", "always", "moves move", "operation",
)  # fmt: skip
COMMANDS = (
    "frac dfrac tfrac", "sqrt", "sum prod", "int", "log ln lg", "sin cos tan cot sec", "angle", "triangle", "begin",
    "ldots cdots dots", "pi", "binom", "le leq ge geq leqslant geqslant lt gt", "mathbb mathbf", "text mathrm", "circ",
    "overline overrightarrow vec", "lim infty", "mod pmod equiv", "times cdot", "lfloor lceil", "left", "in", "theta",
    "alpha beta gamma", "perp parallel", "cup cap subset subseteq", "quad", "item",
)  # fmt: skip
LENGTHS = (
    "characters", "words", "sentences", "questions", "lines", "formulas", "commands", "different commands", "numerals",
    "different numerals", "greatest numeral", "operators", "equalities", "relations", "powers", "indices", "brackets",
    "capitals", "letters alone", "characters a word", "share of letters", "numerals a word",
)  # fmt: skip
MARKS = ("parts", "blank", "choices", "drawing", "dollars", "not ascii")
KINDS = (
    "none", "integer", "decimal", "fraction", "root", "expression", "tuple", "list", "equation", "choice", "text",
)  # fmt: skip
ANSWER = (
    "characters", "numbers", "different numbers", "commands", "letters", "negative", "magnitude", "least magnitude",
    "digits", "denominator", "trailing zeros", "one digit", "zero or one", "power", "with pi", "with a letter",
    "degrees or percent", "named by the question", "numbers named by the question", "characters to the question's",
)  # fmt: skip
COLUMNS = (
    *(f"question: {name}" for name in (*LENGTHS, *MARKS)),
    *(f"word: {words}" for words in KEY_WORDS),
    *(f"command: {names}" for names in COMMANDS),
    *(f"answer is: {kind}" for kind in KINDS),
    *(f"answer: {name}" for name in ANSWER),
)
VERSION = f"{FORMAT}-{hashlib.sha256('|'.join(COLUMNS).encode()).hexdigest()[:8]}"

_COMMAND = re.compile(r"\\([A-Za-z]+)")
_NUMERAL = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_SENTENCE = re.compile(r"[.?!](?:\s|$)")
_ALONE = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_PART = re.compile(r"\((?:1|2|i|ii|I|II)\)")
_CHOICE = re.compile(r"\([A-E]\)|\b[A-D][.:)]\s")
_NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*|[-+]?(?:\d+(?:,\d{3})*)?\.\d+|[-+]?\d+\.")
_FRACTION = re.compile(r"[-+]?(?:\\[dt]?frac\{?(-?\d+)\}?\{?(\d+)\}?|(\d+)/(\d+))")
_DRESS = re.compile(r"\\(?:left|right|text|mathrm|,|;|!|%|\$)|[$\s{}]|\^\\circ|%")


def _positions(groups: Sequence[str]) -> dict[str, int]:
    return {name: place for place, names in enumerate(groups) for name in names.split()}


_WORD_PLACE, _COMMAND_PLACE = _positions(KEY_WORDS), _positions(COMMANDS)


def surface_columns(texts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
    """[P, len(COLUMNS)] float32 of questions [P] and their ground truths [P]; "" where a ground truth is not known.

    Raises:
        ValueError: the two differ in length.
    """
    if len(texts) != len(answers):
        raise ValueError(f"{len(texts)} questions and {len(answers)} answers: give one answer (or '') for each")
    found_P = np.empty((len(texts), len(COLUMNS)), dtype=np.float32)
    for row, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        found_P[row] = _row(text, answer.strip()[:ANSWER_CHARACTERS])
    return found_P


def _row(text: str, answer: str) -> list[float]:
    words, commands, numerals = _WORD.findall(text.lower()), _COMMAND.findall(text), _NUMERAL.findall(text)
    lengths = _lengths(text, words, commands, numerals)
    return [
        *lengths,
        *_marks(text),
        *_occurring(words, _WORD_PLACE, len(KEY_WORDS)),
        *_occurring(commands, _COMMAND_PLACE, len(COMMANDS)),
        *(float(kind == kind_of(answer)) for kind in KINDS),
        *_answer(answer, text, set(numerals)),
    ]


def _lengths(text: str, words: list[str], commands: list[str], numerals: list[str]) -> list[float]:
    count = text.count
    letters = sum(map(len, words))
    counts = (
        len(text), len(words), len(_SENTENCE.findall(text)), count("?"), count("\n"), count("$") + 2 * count("\\("),
        len(commands), len(set(commands)), len(numerals), len(set(numerals)),
        _magnitude(numerals)[1], sum(map(count, "+-*/")), count("="), count("<") + count(">"), count("^"), count("_"),
        count("(") + count("["), sum(map(str.isupper, text)), len(_ALONE.findall(text)),
    )  # fmt: skip
    shares = (letters / max(1, len(words)), letters / max(1, len(text)), len(numerals) / max(1, len(words)))
    return [math.log1p(value) for value in counts] + list(shares)


def _marks(text: str) -> tuple[float, ...]:
    marks = (
        _PART.search(text), "__" in text, _CHOICE.search(text), "[asy]" in text, "\\$" in text, not text.isascii(),
    )  # fmt: skip
    return tuple(float(bool(mark)) for mark in marks)


def _occurring(names: list[str], place_of: dict[str, int], groups: int) -> list[float]:
    found = [0.0] * groups
    for name in set(names):
        if name in place_of:
            found[place_of[name]] = 1.0
    return found


def kind_of(answer: str) -> str:
    """One of `KINDS`: what a ground truth is, by its looks."""
    plain = _DRESS.sub("", answer)
    if not plain:
        return "none"
    if _NUMBER.fullmatch(plain):
        return "decimal" if "." in plain else "integer"
    if _FRACTION.fullmatch(_DRESS.sub("", answer.replace("}{", "/").replace("{", "").replace("}", ""))) or (
        _FRACTION.fullmatch(answer.strip("$ "))
    ):
        return "fraction"
    if len(plain) == 1 and plain in "ABCDE":
        return "choice"
    if "=" in plain:
        return "equation"
    if "," in plain or "\\cup" in plain or "\\infty" in plain:
        return "tuple" if plain[0] in "([" else "list"
    if "\\sqrt" in plain or "√" in plain:
        return "root"
    letters = sum(map(str.isalpha, _COMMAND.sub("", plain)))
    return "text" if letters > 3 and letters > len(plain) / 2 else "expression"


def _answer(answer: str, text: str, numerals: set[str]) -> list[float]:
    commands, numbers = _COMMAND.findall(answer), _NUMERAL.findall(answer)
    letters = sum(map(str.isalpha, _COMMAND.sub("", answer)))
    least, greatest = _magnitude(numbers)
    first = numbers[0] if numbers else ""
    fraction = _FRACTION.search(answer)
    below = max((int(part) for part in fraction.groups()[1::2] if part), default=0) if fraction else 0
    named = sum(number in numerals for number in numbers)
    counts = (len(answer), len(numbers), len(set(numbers)), len(commands), letters)
    return [
        *(math.log1p(value) for value in counts),
        float(answer.lstrip("$({[ ").startswith("-")),
        math.log1p(greatest),
        math.log1p(least),
        math.log1p(max(map(len, numbers), default=0)),
        math.log1p(min(math.log1p(below), MAGNITUDE_LIMIT)),
        float(len(first) - len(first.rstrip("0"))),
        float(len(first) == 1),
        float(first in ("0", "1")),
        float("^" in answer and "circ" not in answer),
        float("\\pi" in answer or "π" in answer),
        float(bool(_ALONE.search(answer))),
        float("circ" in answer or "%" in answer),
        float(bool(answer) and answer in text),
        named / max(1, len(numbers)),
        math.log1p(len(answer)) - math.log1p(len(text)),
    ]


def _magnitude(numerals: Sequence[str]) -> tuple[float, float]:
    """log10(1 + x) of the least and the greatest numeral; 0 and 0 where there are none."""
    found = [min(math.log10(1 + float(name.replace(",", "")[:300])), MAGNITUDE_LIMIT) for name in numerals]
    return (min(found), max(found)) if found else (0.0, 0.0)
