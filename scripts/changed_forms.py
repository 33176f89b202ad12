"""Forms of a wrong answer: (an answer, that of another question) -> a response that changes the answer, or None.

Of a right grader none scores.
"""

import re

from scripts.answer_shapes import (
    BASED,
    BOUND,
    DECIMAL,
    FRACTION,
    INTEGER,
    INTERVAL,
    SCIENTIFIC,
    box,
    changed_by,
    differs,
    is_formula,
    is_single,
    members,
    number,
)


def another_answer(text: str, other: str) -> str | None:
    return box(other) if differs(text, other) else None


def plus_one(text: str, other: str) -> str | None:
    if number(text) is not None and not SCIENTIFIC.fullmatch(text):
        return box(rf"{text}+1")
    return box(f"{text}+1") if is_single(text) and not text.endswith("%") and "circ" not in text else None


def opposite(text: str, other: str) -> str | None:
    if not is_single(text) or number(text) == 0 or "!" in text or "(-" in text:
        return None
    if re.search(r"(?<!^)[+\-]", re.sub(r"\{[^{}]*\}", "", text)):
        return box(f"-({text})")
    return box(text[1:] if text.startswith("-") else f"-{text}")


def last_digit(text: str, other: str) -> str | None:
    match = re.search(r"\d(?=\D*$)", text)
    if not match or not is_formula(text) or text[match.end() :].strip(" .0)]}$") and "dots" in text:
        return None
    return box(text[: match.start()] + str((int(match[0]) + 1) % 10) + text[match.end() :])


def first_digit(text: str, other: str) -> str | None:
    match = re.search(r"[1-8]", text)
    if (
        not match
        or not is_formula(text)
        or re.search(r"[a-z](?:_\{?|\{)\d", text[: match.end()].replace("frac{", "").replace("sqrt{", ""))
    ):
        return None
    return box(text[: match.start()] + str(int(match[0]) + 1) + text[match.end() :])


def ten_times(text: str, other: str) -> str | None:
    return box(text + "0") if INTEGER.fullmatch(text) and text.strip("-0") else None


def hundredth(text: str, other: str) -> str | None:
    return box(f"{int(text) / 100:g}") if re.fullmatch(r"[1-9]\d?", text) else None


def with_variable(text: str, other: str) -> str | None:
    return box(f"{text}g") if INTEGER.fullmatch(text) and text.strip("-0") else None


def with_letter(text: str, other: str) -> str | None:
    return box(f"{text} m") if is_single(text) and number(text) not in (0, None) else None


def without_letter(text: str, other: str) -> str | None:
    match = re.fullmatch(r"(-?\d+) ?([a-zA-Z])", text)
    return box(match[1]) if match else None


def member_missing(text: str, other: str) -> str | None:
    found = members(text)
    return box(", ".join(found[:-1])) if found else None


def member_repeated(text: str, other: str) -> str | None:
    found = members(text)
    return box(", ".join([*found, found[0]])) if found else None


def other_bracket(text: str, other: str) -> str | None:
    match = INTERVAL.fullmatch(text)
    if not match or "infty" in match[2]:
        return None
    return box(("(" if match[1] == "[" else "[") + text[1:])


def other_base(text: str, other: str) -> str | None:
    match = BASED.fullmatch(text)
    return box(f"{match[1]}_{{{int(match[2]) + 1}}}") if match and int(match[1]) >= int(match[2]) else None


def other_direction(text: str, other: str) -> str | None:
    if not BOUND.fullmatch(text):
        return None
    return changed_by(r"(?<=[a-zA-Z] )[<>]|(?<=[a-zA-Z])[<>]", lambda match: ">" if match[0] == "<" else "<", text)


def swapped_pair(text: str, other: str) -> str | None:
    match = re.fullmatch(r"\((-?\d+), ?(-?\d+)\)", text)
    return box(f"({match[2]}, {match[1]})") if match and match[1] != match[2] else None


def other_power_of_ten(text: str, other: str) -> str | None:
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{match[1]}\times10^{{{int(match[2]) + 1}}}") if match else None


def two_percent_off(text: str, other: str) -> str | None:
    match = SCIENTIFIC.fullmatch(text) or DECIMAL.fullmatch(text)
    value = number(text)
    if not match or not value:
        return None
    mantissa, _, power = f"{float(value) * 1.02:.6g}".partition("e")
    return box(rf"{mantissa}\times 10^{{{int(power)}}}" if power else mantissa)


def upside_down(text: str, other: str) -> str | None:
    match = FRACTION.fullmatch(text)
    return (
        box(rf"{match[1]}\frac{{{match[3]}}}{{{match[2]}}}")
        if match and match[2] != match[3] and int(match[2])
        else None
    )


def empty_last_box(text: str, other: str) -> str | None:
    return rf"\boxed{{{text}}} no, wait. \boxed{{}}"


def later_box(text: str, other: str) -> str | None:
    return rf"\boxed{{{text}}} is wrong, it is \boxed{{{other}}}" if differs(text, other) else None


CHANGED = {
    function.__name__: function
    for function in (
        another_answer, plus_one, opposite, last_digit, first_digit, ten_times, hundredth, with_variable, with_letter,
        without_letter, member_missing, member_repeated, other_bracket, other_base, other_direction, swapped_pair,
        other_power_of_ten, two_percent_off, upside_down, empty_last_box, later_box,
    )
}  # fmt: skip
