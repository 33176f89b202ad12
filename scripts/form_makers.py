"""Makers of forms: an answer in a template, a pattern replaced, a number or a list written from its parts."""

from collections.abc import Callable

from scripts.answer_shapes import DECIMAL, FRACTION, INTEGER, SCIENTIFIC, WORD, box, changed_by, grouped, members

Form = Callable[[str], str | None]


def written(applies: Callable[[str], object], template: str) -> Form:
    """The answer in the place of @ in a response."""
    return lambda text: template.replace("@", text) if applies(text) else None


def in_box(applies: Callable[[str], object], template: str) -> Form:
    """The answer in the place of @ in a box."""
    return lambda text: box(template.replace("@", text)) if applies(text) else None


def replaced(applies: Callable[[str], object], pattern: str, replacement: str) -> Form:
    """A pattern in the answer replaced, where it is found."""
    return lambda text: changed_by(pattern, replacement, text) if applies(text) else None


def grouped_by(separator: str, template: str = "@") -> Form:
    """A whole number with a separator between its groups of three digits."""

    def form(text: str) -> str | None:
        found = grouped(text, separator)
        return None if found is None else box(template.replace("@", found))

    return form


def power_of_ten(template: str) -> Form:
    """4.5e33 as a template with its mantissa and exponent."""

    def form(text: str) -> str | None:
        match = SCIENTIFIC.fullmatch(text)
        return box(template.format(match[1], int(match[2]))) if match else None

    return form


def of_members(write: Callable[[list[str]], str]) -> Form:
    """A plain list, written from its members."""

    def form(text: str) -> str | None:
        found = members(text)
        return write(found) if found else None

    return form


def any_answer(text: str) -> bool:
    return True


def whole(text: str) -> bool:
    return bool(INTEGER.fullmatch(text))


def plain_number(text: str) -> bool:
    """A whole number or a decimal."""
    return bool(INTEGER.fullmatch(text) or DECIMAL.fullmatch(text))


def plain(text: str) -> bool:
    """A number, a fraction or a word."""
    return plain_number(text) or bool(FRACTION.fullmatch(text) or WORD.fullmatch(text))
