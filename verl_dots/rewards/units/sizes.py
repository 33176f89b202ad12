r"""What units are worth in one another: `\text{ km/h}` is 5/18 m/s, a foot is no square foot, a cent 1/100 dollar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_BASES = "m s g dollar euro degree celsius fahrenheit K percent month pc ly AU ton gal cal V A T mol ohm eV"
# A unit's name: its size and the units that it is of.
_DEFINED = {
    "in": ("0.0254", "m"), "ft": ("0.3048", "m"), "yd": ("0.9144", "m"), "mi": ("1609.344", "m"), "min": ("60", "s"),
    "h": ("3600", "s"), "day": ("86400", "s"), "week": ("604800", "s"), "lb": ("453.59237", "g"),
    "oz": ("28.349523125", "g"), "cent": ("0.01", "dollar"), "l": ("0.001", "m m m"), "cc": ("0.000001", "m m m"),
    "rad": ("1", ""), "Hz": ("1", "/s"), "N": ("1000", "g m /s /s"), "J": ("1000", "g m m /s /s"),
    "W": ("1000", "g m m /s /s /s"), "Pa": ("1000", "g /m /s /s"), "bar": ("100000000", "g /m /s /s"),
    "erg": ("0.0001", "g m m /s /s"), "mph": ("0.44704", "m /s"), "kph": ("5/18", "m /s"), "kmh": ("5/18", "m /s"),
    "year": ("12", "month"),
}  # fmt: skip
_SAME = {
    "meter": "m", "metre": "m", "gram": "g", "second": "s", "sec": "s", "inch": "in", "inche": "in", "feet": "ft",
    "foot": "ft", "yard": "yd", "mile": "mi", "minute": "min", "hour": "h", "hr": "h", "yr": "year", "pound": "lb",
    "ounce": "oz", "liter": "l", "litre": "l", "L": "l", "gallon": "gal", "usd": "dollar", "radian": "rad",
    "°": "degree", "deg": "degree", "hertz": "Hz", "newton": "N", "joule": "J", "watt": "W", "pascal": "Pa",
    "volt": "V", "ampere": "A", "amp": "A", "kelvin": "K", "parsec": "pc", "calorie": "cal", "electronvolt": "eV",
    "eur": "euro",
}  # fmt: skip
_PREFIXES = {
    "T": 12, "G": 9, "M": 6, "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12,
    "tera": 12, "giga": 9, "mega": 6, "kilo": 3, "deci": -1, "centi": -2, "milli": -3, "micro": -6, "nano": -9,
}  # fmt: skip
_PREFIXED_NAMES = "m s g l L Hz N J W Pa bar eV pc V A T mol K cal ohm"
_PREFIXED = frozenset(_PREFIXED_NAMES.split())
_NOT_PREFIXED = frozenset({"pm", "cd", "pt", "Pa"})
_PREFIX = re.compile(rf"({'|'.join(sorted(_PREFIXES, key=len, reverse=True))})(\w+)")
_TEMPERATURE = re.compile(r"(?:degrees?|°)\s*(?=(?:[FCK]|fahrenheit|celsius|kelvin)\b)", re.IGNORECASE)
_LETTERS = {"C": "celsius", "F": "fahrenheit", "K": "K"}
_TOKEN = re.compile(r"\^\s*(-?\d+)|(/|per\b)|(square|sq|cubic|cu)\b|([A-Za-z°]+)|\S")
_RAISED = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}


@dataclass(frozen=True)
class Size:
    """A unit in terms of others: a number of them, and the power of each."""

    number: Fraction
    powers: tuple[tuple[str, int], ...]

    def times(self, other: Size, power: int) -> Size:
        """This one times a power of another."""
        powers = dict(self.powers)
        for name, own in other.powers:
            powers[name] = powers.get(name, 0) + own * power
        return Size(self.number * other.number**power, tuple(sorted(item for item in powers.items() if item[1])))


_ONE = Size(Fraction(1), ())


def size(text: str) -> Size | None:
    """What a unit is worth; None where a word of it is not known, or there is none."""
    text = re.sub(r"\\mu\s*", "u", text).replace("\\cdot", " ")
    text = re.sub(r"\\text|[\\{}.*()]", " ", text)
    text = re.sub(r"\b([kM])\s+(?=Omega\b)", r"\1", text).replace("Omega", "ohm")
    text = _TEMPERATURE.sub("temperature", text)
    found, sign, raised, last = _ONE, 1, 1, None
    for token in _TOKEN.finditer(text):
        power, over, before, word = token.groups()
        if power and last is not None:
            found = found.times(last[0], last[1] * (int(power) - 1))
        elif over:
            sign = -1
        elif before:
            raised = _RAISED[before]
        elif word and (unit := _of_word(word)) is not None:
            last = (unit, sign)
            found = found.times(unit, sign * raised)
            sign = raised = 1
        else:
            return None
    return None if last is None else found


def _of_word(word: str) -> Size | None:
    if word.startswith("temperature"):
        name = word.removeprefix("temperature")
        return _base(_LETTERS.get(name, "K" if name.lower() == "kelvin" else name.lower()))
    for name in (word, word.lower()):
        for single in (name, name.removesuffix("s"), name.removesuffix("es")):
            if single and (unit := _of_name(single)) is not None:
                return unit
    return None


def _of_name(name: str) -> Size | None:
    name = _SAME.get(name, name)
    if name in _DEFINED:
        number, units = _DEFINED[name]
        found = Size(Fraction(number), ())
        for unit in units.split():
            found = found.times(_base(unit.lstrip("/")), -1 if unit.startswith("/") else 1)
        return found
    if name in _BASES.split():
        return _base(name)
    match = _PREFIX.fullmatch(name)
    if match is None or name in _NOT_PREFIXED or _SAME.get(match[2], match[2]) not in _PREFIXED:
        return None
    if (match[2] in _SAME) != (len(match[1]) > 1) and match[2] != "L":
        return None  # kilometer and km, not kmeter
    return Size(Fraction(10) ** _PREFIXES[match[1]], ()).times(_of_name(match[2]), 1)


def _base(name: str) -> Size:
    return Size(Fraction(1), ((name, 1),))
