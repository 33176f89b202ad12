r"""Numbers as answers write them: separators, powers of ten, repeating decimals, bases, clocks, units behind them.

Every function takes a text that `text.latex.clean` has cleaned.
"""

from __future__ import annotations

import re
from fractions import Fraction

from verl_dots.rewards.answers.kinds import Based, Clock, Value
from verl_dots.rewards.expressions.tree import number

_MOST_EXPONENT = 5000
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SPACED = re.compile(r"(?<![\d.,])(\d{1,3}(?: \d{3})+)(?![\d])")
_PLAIN = re.compile(r"[-+]?\s*(?:\d+(?:\.\d*)?|\.\d+)")
_SCIENTIFIC = re.compile(
    r"(?P<sign>[-+]?)\s*(?:(?P<mantissa>\d+(?:\.\d*)?|\.\d+)\s*(?:\\times|\\cdot|\*|x)\s*)?10\s*\^\s*\{?\s*(?P<power>[-+]?\s*\d+)\s*\}?"
    r"|(?P<esign>[-+]?)\s*(?P<emantissa>\d+(?:\.\d*)?|\.\d+)[eE](?P<epower>[-+]?\d+)"  # 3e^2 and 2e - 1 hold e
)
_REPEATING = re.compile(
    r"(?<!\d)(\d*+)\.(\d*+)\s*(?:\\overline|\\bar|\\dot)\s*(?:\{\s*(\d+)\s*\}|(\d))|(?<!\d)(\d++)\.(\d*+)\((\d++)\)"
)
_BASED = re.compile(
    r"(?P<sign>-?)\s*(?:\\text\{)?\(?\s*(?P<digits>[0-9A-Fa-f][0-9A-Fa-f ,]*)\s*\)?\}?\s*"
    r"_\s*\{?\s*\(?\s*(?P<base>-?\d+|\\text\{\w+\}|[a-z]{3,})\s*\)?\s*\}?"
)
_BASE_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "sixteen": 16, "binary": 2, "octal": 8, "hex": 16,
}  # fmt: skip
_CLOCK = re.compile(
    r"(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?\s*(?:\\text\{)?\s*(?:([aApP])\.?\s*[mM]\.?|o'?clock)?\s*\}?"
)
_HOUR = re.compile(r"(\d{1,2})\s*(?:\\text\{)?\s*([aApP]\.?[mM]\.?|o'?clock)\s*\}?")
_COUNT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_COUNTS = _COUNT_WORDS.split()


def is_grouped(text: str) -> bool:
    """Whether a text is one number with commas between its groups of digits."""
    return _GROUPED.fullmatch(text) is not None


def join_spaced(text: str) -> str:
    """Join groups of digits that spaces part: "12 345 678"."""
    return _SPACED.sub(lambda match: match[1].replace(" ", ""), text)


def expand_repeating(text: str) -> str:
    r"""Write repeating decimals as fractions: `0.\overline{6}` as `(\frac{6}{9})`."""

    def fraction(match: re.Match) -> str:
        whole, fixed, repeated = (
            (match[1] or "0", match[2], match[3] or match[4]) if match[7] is None else match.groups()[4:]
        )
        digits = int(whole + fixed + repeated) - int(whole + fixed)
        lower = (10 ** len(repeated) - 1) * 10 ** len(fixed)
        return rf"(\frac{{{digits}}}{{{lower}}})"

    return _REPEATING.sub(fraction, text)


def read_number(text: str) -> Value | None:
    """A text that is one number and nothing else, as its exact value; None for any other."""
    text = re.sub(r"(?<=^[-+])\s+", "", text.strip())
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if _PLAIN.fullmatch(text):
        text = text.replace(" ", "").rstrip(".")
        places = len(text.partition(".")[2])
        return Value(number(Fraction(text)), "." in text, places if "." in text else None)
    if text.count(",") == 1 and re.fullmatch(r"[-+]?0,\d+", text):
        return None
    match = _SCIENTIFIC.fullmatch(text)
    if match is None:
        return None
    mantissa = match["emantissa"] or match["mantissa"] or "1"
    power = int((match["epower"] or match["power"]).replace(" ", ""))
    if abs(power) > _MOST_EXPONENT:
        return None
    sign = -1 if "-" in (match["sign"] or match["esign"] or "") else 1
    places = max(0, len(mantissa.partition(".")[2]) - power)
    exact = match["mantissa"] is None and match["emantissa"] is None
    return Value(number(sign * Fraction(mantissa.rstrip(".")) * Fraction(10) ** power), not exact, places)


def read_count(text: str) -> Value | None:
    """A number up to twenty as a word."""
    word = text.lower()
    return Value(number(Fraction(_COUNTS.index(word)))) if word in _COUNTS else None


def read_based(text: str) -> Based | None:
    """A whole number with a base: `204_5`, `(204)_{5}`, `204 base 5`, `A5_{11}`."""
    text = re.sub(r"_\s*\{?\s*\\text\{base[\s-]*(?:\}\s*)?(\w+)\s*\}*$", r"_{\1}", text)
    text = re.sub(r"\s*\(?\s*\\text\{\s*\(?\s*base[\s-]*\}?\s*(\w+)\s*\)?\s*\}?\s*\)?$", r"_{\1}", text)
    text = re.sub(r"\s*\(?\s*(?:in\s+)?base[\s-]*(\w+)\s*\)?$", r"_{\1}", text)
    match = _BASED.fullmatch(re.sub(r"^(-?)\{([^{}]*)\}(?=\s*_)", r"\1\2", text))
    if match is None:
        return None
    word = re.sub(r"\\text\{|\}", "", match["base"])
    base = _BASE_WORDS.get(word) if not re.fullmatch(r"-?\d+", word) else int(word)
    digits = match["digits"].replace(" ", "").replace(",", "").upper()
    in_text = "\\text{" in text[: match.end("digits")]
    if base is None or not 2 <= abs(base) <= 36:
        return None
    if digits[0].isalpha() and not in_text and (len(digits) == 1 or match["digits"] != match["digits"].upper()):
        return None
    if any(int(digit, 16) >= abs(base) for digit in digits):
        return None
    return Based(match["sign"] + (digits.lstrip("0") or "0"), base)


def read_clock(text: str) -> Clock | None:
    """A time of day: `12:00`, `4:10 P.M.`; a ratio such as 19:60 is none."""
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 24 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        return None
    return Clock(int(match[1]), int(match[2]), int(match[3] or 0), (match[4] or "").lower())


def read_hour(text: str) -> Clock | None:
    """A time of day without minutes: `6 PM`, `3 o'clock`."""
    match = _HOUR.fullmatch(text)
    return None if match is None else read_clock(f"{match[1]}:00 {match[2]}")
