r"""Units and words behind a number, told apart from variables: `5\text{ cm}` and `18 eggs` have one, `3g` has none.

A single letter is a unit only inside `\text{...}` or `\mathrm{...}`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from verl_dots.rewards.units.sizes import Size, size

# Words that make a text more than a value with its unit.
_NO_UNIT = re.compile(
    r"\b(?:if|for|when|where|with|or|and|more|less|fewer|than|least|most|not|no|is|are|from|between|such|that|only|all|any|"
    r"some|every|otherwise|does|exist|exists|given|mod|to|by|if|then|even|odd|prime|both|whenever|otherwise|greater|"
    r"thirds?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|hundredths?|thousandths?|halves|squared|cubed|"
    r"factorial|pi|lakhs?|crores?)\b|[十百万亿萬億만천억백조분分成折]|千(?![克米])",
    re.IGNORECASE,
)
_SHORT_UNITS = (
    "cm mm km dm nm um kg mg gm ml cl dl ft yd yds mi lb lbs oz hr hrs min mins sec secs ms mph kph kmh rad deg "
    "Hz kHz MHz GHz eV keV MeV GeV TeV kJ MJ kW MW GW kPa MPa GPa Pa bar atm mol kcal cal pc kpc Mpc AU ly erg "
    "ergs dyn gal qt pt sq cu hp amp ohm volt watt yr yrs day days men man boy pie egg toy car cup pen box cow "
    "dog cat way cc ha pm am usd rs cents cent miles inch feet foot USD EUR GBP INR CNY RMB JPY HKD AUD CAD Rs eur gbp"
)
_SHORT = frozenset(_SHORT_UNITS.split())
_EXPONENT = r"(?:\s*\^\s*\{?\s*-?\d\s*\}?)?"
_TEXT_PIECE = rf"\s*(?:/|\\cdot|\*|\bper\b)?\s*\(?\\text\{{[^{{}}]*\}}\)?{_EXPONENT}"
_OHM = r"\s*(?:\\text\{\s*)?[kM]?\s*\}?\s*\\Omega(?![A-Za-z])"
_SOLAR = r"\s*(?:\\text\{\s*)?[MLR]\s*\}?\s*_\s*\{?\s*\\odot\s*\}?"
_FIRST_PIECE = rf"(?:{_SOLAR}|{_OHM}|{_TEXT_PIECE}|\s*\\degree\s*(?:C|F|K)?(?![A-Za-z])|\s*\\percent)"
_TEXT_UNIT = re.compile(
    rf"(?P<core>.*?)(?P<unit>{_FIRST_PIECE}(?:{_FIRST_PIECE}|\s*/\s*[A-Za-z]{{1,3}}(?![A-Za-z]){_EXPONENT})*)\s*\.?",
    re.DOTALL,
)
_WORD_UNIT = re.compile(
    rf"(?P<core>.*?(?:[\d}})\]]|\\pi(?= )))(?P<space>\s*)-?(?P<unit>[A-Za-z][A-Za-z./ '-]*?{_EXPONENT})\s*\.?",
    re.DOTALL,
)
_OTHER_SCRIPT = re.compile(
    r"(?P<core>.*?[\d})\]])\s*(?P<unit>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)\s*", re.DOTALL
)
_CURRENCIES = {
    "dollar": re.compile(r"\s*(?:\$\s*\\\$\s*[\d.,]+\s*\$|\\?\$\s*[\d.,]+)\s*"),
    "cent": re.compile(r"[\s$]*[\d.,]+[\s$]*¢[\s$.]*"),
    "euro": re.compile(r"[\s$]*(?:€\s*[\d.,]+|[\d.,]+\s*€)[\s$.]*"),
}
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_LONGEST = 1000  # characters of a value with its unit: the patterns take time with their square
_RATE = re.compile(
    r"(?<![A-Za-z])(?:per|an?|each|every) (?:day|week|month|year|hour|minute|second|night|morning|person|student|child)"
    r"(?![A-Za-z])"
)
_SCALE = re.compile(rf"^\W*(?:text\b\W*)?({'|'.join(_SCALES)})s?\b")
_DEGREES = Size(Fraction(1), (("degree", 1),))


def currency(text: str) -> str:
    """The unit that a sign beside a number stands for, as in "$5" and "50¢"; "" for other texts than these."""
    return next((unit for unit, amount in _CURRENCIES.items() if amount.fullmatch(text)), "")


def split_unit(text: str) -> tuple[str, str]:
    """A value's text and the unit behind it, "" where there is none."""
    if len(text) > _LONGEST:
        return text, ""
    match = _TEXT_UNIT.fullmatch(text)
    turned = match and "\\degree" in match["unit"] and _FUNCTION.search(match["core"])
    if (
        match
        and not turned
        and match["core"].strip()
        and "\\text" not in match["core"]
        and not _NO_UNIT.search(_plain(match["unit"]))
    ):
        return match["core"].strip(), match["unit"].strip()
    if (match := _OTHER_SCRIPT.fullmatch(text)) and not _NO_UNIT.search(match["unit"]):
        return match["core"].strip(), match["unit"]
    match = _WORD_UNIT.fullmatch(text)
    if match and _is_word(match["unit"], bool(match["space"])) and not _command_end(match["core"]):
        return match["core"].strip(), match["unit"].strip()
    return text, ""


def conflicting(one: str, other: str) -> bool:
    """Whether two units are both known and differ, as cm and km do, or cm and cm^2."""
    return ratio(one, other) != 1


def ratio(one: str, other: str) -> Fraction | None:
    """How many of one unit the other is, 1 where either is not known; None where both are, and none of the other.

    Degrees may be those of a temperature.
    """
    (scale, one), (other_scale, other) = split_scale(one), split_scale(other)
    if None not in (scale, other_scale) and scale != other_scale:
        return None
    left, right = size(one), size(other)
    if left is None or right is None or (_DEGREES in (left, right) and _temperature(left, right)):
        return Fraction(1)
    return right.number / left.number if left.powers == right.powers else None


def split_scale(unit: str) -> tuple[int | None, str]:
    """The number that a unit's first word stands for and the unit behind it: 10^6 and dollars of "million dollars"."""
    match = _SCALE.match(unit)
    return (None, unit) if match is None else (_SCALES[match[1]], unit[match.end() :])


def _temperature(left: Size, right: Size) -> bool:
    return bool({left.powers, right.powers} & {(("celsius", 1),), (("fahrenheit", 1),)})


def _plain(text: str) -> str:
    return text.replace("\\text", " ").replace("{", " ").replace("}", " ").replace("\\", " ")


def _is_word(text: str, spaced: bool) -> bool:
    if spaced and _RATE.match(text):
        return True
    text = _RATE.sub("", text)
    words = re.findall(r"[A-Za-z]+", text)
    if not words or _NO_UNIT.search(text):
        return False
    first = words[0]
    if re.match(r"(?:[kc]?m|ft)\s*/\s*(?:s|h|hr|min|sec)(?![A-Za-z])", text):
        return True
    if first in _SHORT:
        return True
    return spaced and len(first) >= 4 and re.search(r"[aeiouyAEIOUY]", first) is not None


def _command_end(core: str) -> bool:
    return re.search(r"\\(?!pi$)[A-Za-z]*$", core) is not None
