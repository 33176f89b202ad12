"""What kind of answer a text is, as the forms of equal_forms.py and changed_forms.py ask: numbers, formulas, lists.

It shares nothing with the package's reading of answers, which these forms put to the test.
"""

import re
from fractions import Fraction

INTEGER = re.compile(r"-?\d+")
DECIMAL = re.compile(r"-?\d*\.\d+")
FRACTION = re.compile(r"(-?)\\[dt]?frac\{(\d+)\}\{(\d+)\}")
SCIENTIFIC = re.compile(r"(-?\d+(?:\.\d+)?)[eE]([-+]?\d+)")
WORD = re.compile(r"(?:\\text\{)?([A-Z][a-z]{2,})\}?")
BASED = re.compile(r"(\d+)_\{?(\d+)\}?")
_NUMBER_END = r"-?(?:\d+|\\frac\{\d+\}\{\d+\}|\\infty)"
INTERVAL = re.compile(rf"([\[(])({_NUMBER_END}), ?({_NUMBER_END})([\])])")
BOUND = re.compile(rf"([a-zA-Z]) ?(<|>|\\leq?|\\geq?|\\le|\\ge) ?({_NUMBER_END})")


def core(ground_truth: str) -> str:
    r"""A ground truth without spaces, dollars, `\[`, `\(` or a box around all of it."""
    text = ground_truth.strip(" \n")
    for left, right in (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")):
        inner = text[len(left) : -len(right)]
        if text.startswith(left) and text.endswith(right) and inner and not re.search(r"(?<!\\)\$|\\[()\[\]]", inner):
            text = inner.strip()
    text = text.rstrip("\\ ")
    boxed = re.fullmatch(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}[ .]*", text)
    return boxed[1].strip() if boxed else text


def number(text: str) -> Fraction | None:
    """The value of a plain whole number, decimal, fraction or power of ten."""
    text = text.replace("\\!", "").replace("{,}", ",").replace("\\,", "").replace("\\$", "").strip()
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
        text = text.replace(",", "")
    if INTEGER.fullmatch(text) or DECIMAL.fullmatch(text) or re.fullmatch(r"-?\d+/[1-9]\d*", text):
        return Fraction(text)
    if match := FRACTION.fullmatch(text):
        return Fraction(int(match[1] + match[2]), int(match[3])) if int(match[3]) else None
    if match := SCIENTIFIC.fullmatch(text):
        return Fraction(match[1]) * Fraction(10) ** int(match[2])
    return None


def box(text: str | None) -> str | None:
    return None if text is None else rf"So the answer is $\boxed{{{text}}}$."


def changed_by(pattern: str, replacement, text: str) -> str | None:
    """The box of a text in which a pattern is replaced; None where it is not found."""
    new = re.sub(pattern, replacement, text)
    return box(new) if new != text else None


def is_formula(text: str) -> bool:
    """Whether a text may stand in mathematics: no dollars, words or line breaks, and balanced brackets."""
    words = re.search(
        r"(?<![\\A-Za-z])[A-Za-z]{3,}|\\text|\\mbox|\\begin|\\\\|[$\n\t\x0c%]|\\\[|\\\(|[^\x00-\x7f]", text
    )
    return not words and text.count("(") == text.count(")") and text.count("[") == text.count("]")


def is_single(text: str) -> bool:
    """Whether a formula is one value: no list, relation, set or interval."""
    return is_formula(text) and not re.search(
        r"\b(?:or|and|if)\b|[,;=<>:_]|\\[lg]eq?|\\in|\\cup|\\pm|\\neq?|\\to|\\approx|\\equiv|\\\{|dots", text
    )


def members(text: str) -> list[str] | None:
    """The members of a plain list of different values."""
    if (
        not is_formula(text)
        or re.search(r"\b(?:and|or)\b|[(\[{=<>_]", text.replace("\\frac{", "").replace("\\sqrt{", ""))
        or ";" in text
    ):
        return None
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+", text) or "\\!" in text or "dots" in text or "\\pm" in text:
        return None
    found = [member.strip() for member in text.split(",")]
    return found if len(found) > 1 and all(found) and len(set(found)) == len(found) else None


def grouped(text: str, separator: str) -> str | None:
    """A whole number of five digits or more with a separator between its groups."""
    if not INTEGER.fullmatch(text) or len(text.lstrip("-")) < 4 or text.lstrip("-").startswith("0"):
        return None
    return f"{int(text):,}".replace(",", separator)


def differs(text: str, other: str) -> bool:
    """Whether two answers are surely different: as numbers, else as bare letters and digits of unlike shape."""
    left, right = number(text), number(other)
    if left is not None and right is not None:
        return left != right and abs(left - right) > abs(left) / 1000
    if (left is None) != (right is None):
        return not re.search(
            r"\\(?:frac|sqrt|circ|text|%|mbox|log|\$|mathrm|cdot|pi|times)|[=+*/^!%°,:_]|[A-Za-z]{3}", text + other
        )
    bare = [
        re.sub(r"\\(?:left|right|text|mbox|[dt]?frac|[,!; ])|[^A-Za-z0-9+\-<>=\[\]()/^]", "", side)
        for side in (text, other)
    ]
    return (
        sorted(re.findall(r"\d+", bare[0])) != sorted(re.findall(r"\d+", bare[1]))
        and bare[0].lower() != bare[1].lower()
    )
