r"""Ways to write an answer: equal forms, which must score 1 against it, and changed ones, which must score 0.

A form takes a ground truth's `core` (no delimiters around it) and returns a whole response, or None where it does not
apply: a rewrite only where it keeps the meaning, a change only where it alters it. Nothing here uses the grader.
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
    parts = [part.strip() for part in text.split(",")]
    return parts if len(parts) > 1 and all(parts) and len(set(parts)) == len(parts) else None


def grouped(text: str, separator: str) -> str | None:
    """A whole number of five digits or more with a separator between its groups."""
    if not INTEGER.fullmatch(text) or len(text.lstrip("-")) < 4 or text.lstrip("-").startswith("0"):
        return None
    return f"{int(text):,}".replace(",", separator)


# Equal forms: around the answer.


def boxed(text):
    return rf"\boxed{{{text}}}" if "$" not in text else box_any(text)


def box_any(text):
    return rf"Therefore \boxed{{{text}}}"


def display(text):
    return rf"\[ \boxed{{{text}}} \]" if "$" not in text and "\\[" not in text else None


def full_stop_inside(text):
    return box_any(text + ".") if not text.endswith((".", "!", "?")) else None


def full_stop_behind(text):
    return rf"Hence \(\boxed{{{text}}}\)."


def closing_tag(text):
    return rf"<think>\boxed{{0}} no</think> The answer is \(\boxed{{{text}}}\).</answer>"


def spaces_inside(text):
    return box_any(f"  {text} ")


def final_answer_is(text):
    return f"We are done. The final answer is ${text}$." if is_formula(text) else None


def answer_colon(text):
    return f"Some work, x = 17.\n\nAnswer: ${text}$" if is_formula(text) else None


def bold_answer(text):
    plain = INTEGER.fullmatch(text) or DECIMAL.fullmatch(text) or FRACTION.fullmatch(text) or WORD.fullmatch(text)
    return f"Some work, x = 17.\n\n**Answer:** {text}." if plain else None


def dollars_inside(text):
    return rf"Thus \boxed{{${text}$}}" if is_formula(text) else None


def displaystyle(text):
    return box(rf"\displaystyle {text}") if is_formula(text) else None


# Equal forms: other LaTeX for the same.


def dfrac(text):
    return changed_by(r"\\frac(?=\s*\{)", r"\\dfrac", text) if is_formula(text) else None


def tfrac(text):
    return changed_by(r"\\d?frac(?=\s*\{)", r"\\tfrac", text) if is_formula(text) else None


def short_fraction(text):
    return changed_by(r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2", text) if is_formula(text) else None


def slash_fraction(text):
    return (
        box(re.sub(r"\\[dt]?frac", "", text).replace("}{", "/").strip("{}"))
        if FRACTION.fullmatch(text) and text[0] != "-"
        else None
    )


def unreduced_fraction(text):
    match = FRACTION.fullmatch(text)
    return box(rf"{match[1]}\frac{{{3 * int(match[2])}}}{{{3 * int(match[3])}}}") if match else None


def sign_in_numerator(text):
    match = FRACTION.fullmatch(text)
    return box(rf"\frac{{-{match[2]}}}{{{match[3]}}}") if match and match[1] else None


def left_right(text):
    if not is_formula(text) or "\\left" in text or re.search(r"\([^()]*[\]]|[\[][^()\[\]]*\)|\\sqrt\[", text):
        return None
    return changed_by(r"[(\[]|[)\]]", lambda match: ("\\left" if match[0] in "([" else "\\right") + match[0], text)


def without_left_right(text):
    return changed_by(r"\\(?:left|right)\s*(?=[()\[\]])", "", text) if is_formula(text) else None


def without_spaces(text):
    return (
        changed_by(r"(?<!\d) +(?![A-Za-z\d])|(?<=[+\-,(=]) +(?=\w)| +(?=[+\-,)=])", "", text)
        if is_formula(text)
        else None
    )


def spaced_operators(text):
    return (
        changed_by(r"(?<=[\w})!])\s*([+\-=<>])\s*(?=[\w\\(])(?![^{]*\})", r" \1 ", text) if is_formula(text) else None
    )


def thin_spaces(text):
    return changed_by(r"(?<=[\w})])([+=])(?=[\w\\(])(?![^{]*\})", r"\\,\1\\;", text) if is_formula(text) else None


def other_relation_commands(text):
    if not is_formula(text):
        return None
    return changed_by(r"\\(le|ge)(q?)(?![a-z])", lambda match: f"\\{match[1]}" + ("" if match[2] else "q"), text)


def unicode_symbols(text):
    if not is_formula(text) or re.search(r"\\sqrt\[|\\sqrt(?!\{\d+\}|\{?[a-z]\b)", text):
        return None
    for command, sign in (("\\pi", "π"), ("\\infty", "∞"), ("\\leq", "≤"), ("\\geq", "≥"), ("\\le", "≤"), ("\\ge", "≥"),
                          ("\\cup", "∪"), ("\\pm", "±"), ("\\times", "×"), ("\\cdot", "·")):  # fmt: skip
        text = re.sub(re.escape(command) + r"(?![a-z])", sign, text)
    new = re.sub(r"\\sqrt\{(\d+)\}", r"√\1", text).replace("-", "−")
    return box(new) if not new.isascii() else None


def product_star(text):
    return changed_by(r"\s*\\(?:cdot|times)\s*", "*", text) if is_single(text) else None


def plain_pi(text):
    return (
        changed_by(r"(?<=\d)\s*\\pi(?![a-z])(?!_)", "*pi", text) if is_single(text) and "\\frac" not in text else None
    )


def plain_square_root(text):
    return (
        changed_by(r"(?<![\d}])\\sqrt\{(\d+)\}", r"sqrt(\1)", text) if is_single(text) and "frac" not in text else None
    )


def in_text(text):
    return box(rf"\text{{{text}}}") if INTEGER.fullmatch(text) or DECIMAL.fullmatch(text) else None


def in_mathrm(text):
    return box(rf"\mathrm{{{text}}}") if INTEGER.fullmatch(text) or WORD.fullmatch(text) else None


def named(text):
    return box(f"k = {text}") if is_single(text) and "\\$" not in text else None


def swapped_sum(text):
    match = re.fullmatch(r"(\d*\\pi|\d+|\d*\\sqrt\{\d+\})\s*\+\s*(\d*\\pi|\d+|\d*\\sqrt\{\d+\})", text)
    return box(f"{match[2]}+{match[1]}") if match else None


# Equal forms: numbers.


def comma_groups(text):
    return box(grouped(text, ","))


def thin_space_groups(text):
    return box(grouped(text, r"\,"))


def brace_comma_groups(text):
    return box(grouped(text, "{,}"))


def negative_space_groups(text):
    return box(grouped(text, r",\!"))


def named_groups(text):
    found = grouped(text, ",")
    return None if found is None else box(f"N = {found}")


def zero_decimals(text):
    return box(text + ".0") if INTEGER.fullmatch(text) and not text.lstrip("-").startswith("0") else None


def more_zeros(text):
    return box(text + "00") if DECIMAL.fullmatch(text) else None


def as_decimal(text):
    value = number(text) if FRACTION.fullmatch(text) else None
    if value is None or 10**6 % value.denominator:
        return None
    return box(f"{float(value)}")


def as_fraction(text):
    value = number(text) if DECIMAL.fullmatch(text) else None
    return None if value is None else box(rf"\frac{{{value.numerator}}}{{{value.denominator}}}")


def with_dollar(text):
    return box(rf"\${text}") if INTEGER.fullmatch(text) and text[0] != "-" else None


def with_unit(text):
    return (
        box(rf"{text}\text{{ units}}")
        if INTEGER.fullmatch(text) or DECIMAL.fullmatch(text) or FRACTION.fullmatch(text)
        else None
    )


def with_word(text):
    return box(f"{text} apples") if INTEGER.fullmatch(text) else None


def without_degrees(text):
    return changed_by(r"^(-?[\d.]+)\^\{?\\circ\}?$", r"\1", text)


def degree_sign(text):
    return changed_by(r"^(-?[\d.]+)\^\{?\\circ\}?$", r"\1°", text)


def without_percent(text):
    return changed_by(r"(?<=\d) ?\\%$", "", text)


def percent_word(text):
    return changed_by(r"(?<=\d) ?\\%$", " percent", text)


def without_dollar(text):
    return changed_by(r"^\\\$ ?(?=[\d.]+$)", "", text)


def leading_zero(text):
    return box("0" + text) if re.fullmatch(r"\d{2}", text) else None


def times_power(text):
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{match[1]} \times 10^{{{int(match[2])}}}") if match else None


def dot_power(text):
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{match[1]}\cdot10^{{{int(match[2])}}}") if match else None


def plain_power(text):
    match = SCIENTIFIC.fullmatch(text)
    return box(f"{match[1]} × 10^{int(match[2])}") if match else None


def power_with_unit(text):
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{match[1]}\times 10^{{{int(match[2])}}} \text{{ erg/s}}") if match else None


def shifted_power(text):
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{float(match[1]) * 10:.6g}\times 10^{{{int(match[2]) - 1}}}") if match else None


# Equal forms: lists, sets, intervals.


def reversed_list(text):
    found = members(text)
    return box(", ".join(reversed(found))) if found else None


def list_with_and(text):
    found = members(text)
    return box(", ".join(found[:-1]) + r" \text{ and } " + found[-1]) if found else None


def several_boxes(text):
    found = members(text)
    if not found:
        return None
    return ", ".join(rf"$\boxed{{{member}}}$" for member in found[:-1]) + rf" and $\boxed{{{found[-1]}}}$."


def as_set(text):
    found = members(text)
    return box(r"\{" + ", ".join(found) + r"\}") if found else None


def interval_as_inequality(text):
    match = INTERVAL.fullmatch(text)
    if not match or "infty" in text or (match[1] == "(" and match[4] == ")"):
        return None
    signs = [r"\le" if mark in "[]" else "<" for mark in (match[1], match[4])]
    return box(f"{match[2]} {signs[0]} x {signs[1]} {match[3]}")


def bound_as_interval(text):
    match = BOUND.fullmatch(text)
    if not match or "infty" in text:
        return None
    strict, above = match[2] in "<>", match[2] in (">", "\\ge", "\\geq")
    low, high = ("(" if strict else "[", ")" if strict else "]")
    return box(rf"{low}{match[3]}, \infty)" if above else rf"(-\infty, {match[3]}{high}")


def bound_flipped(text):
    match = BOUND.fullmatch(text)
    if not match:
        return None
    flipped = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\leq": "\\geq", "\\geq": "\\leq"}
    return box(f"{match[3]} {flipped[match[2]]} {match[1]}")


def both_signs(text):
    match = re.fullmatch(r"([^,;=\\]*(?:\\sqrt\{\d+\})?)\s*\\pm\s*([^,;={}]*(?:\{[^{}]*\}[^,;={}]*)*)", text)
    return box(f"{match[1]}+{match[2]}, {match[1]}-{match[2]}") if match and is_formula(text) else None


def base_braces(text):
    match = BASED.fullmatch(text)
    return box(f"{match[1]}_{{{match[2]}}}") if match and "{" not in text else None


def base_in_round_brackets(text):
    match = BASED.fullmatch(text)
    return box(f"({match[1]})_{{{match[2]}}}") if match else None


def word_in_text(text):
    match = WORD.fullmatch(text)
    return (box(rf"\text{{{match[1]}}}") if "\\text" not in text else box(match[1])) if match else None


def word_in_bold(text):
    match = WORD.fullmatch(text)
    return box(rf"\textbf{{{match[1]}.}}") if match else None


EQUAL = {
    function.__name__: function
    for function in (
        boxed, display, full_stop_inside, full_stop_behind, closing_tag, spaces_inside, final_answer_is, answer_colon,
        bold_answer, dollars_inside, displaystyle, dfrac, tfrac, short_fraction, slash_fraction, unreduced_fraction,
        sign_in_numerator, left_right, without_left_right, without_spaces, spaced_operators, thin_spaces,
        other_relation_commands, unicode_symbols, product_star, plain_pi, plain_square_root, in_text, in_mathrm, named,
        swapped_sum, comma_groups, thin_space_groups, brace_comma_groups, negative_space_groups, named_groups,
        zero_decimals, more_zeros, as_decimal, as_fraction, with_dollar, with_unit, with_word, without_degrees,
        degree_sign, without_percent, percent_word, without_dollar, leading_zero, times_power, dot_power, plain_power,
        power_with_unit, shifted_power, reversed_list, list_with_and, several_boxes, as_set, interval_as_inequality,
        bound_as_interval, bound_flipped, both_signs, base_braces, base_in_round_brackets, word_in_text, word_in_bold,
    )
}  # fmt: skip


# Changed forms: (core, another question's core) -> response.


def another_answer(text, other):
    return box(other) if differs(text, other) else None


def plus_one(text, other):
    if number(text) is not None and not SCIENTIFIC.fullmatch(text):
        return box(rf"{text}+1")
    return box(f"{text}+1") if is_single(text) and not text.endswith("%") and "circ" not in text else None


def opposite(text, other):
    if not is_single(text) or number(text) == 0 or "!" in text or "(-" in text:
        return None
    if re.search(r"(?<!^)[+\-]", re.sub(r"\{[^{}]*\}", "", text)):
        return box(f"-({text})")
    return box(text[1:] if text.startswith("-") else f"-{text}")


def last_digit(text, other):
    match = re.search(r"\d(?=\D*$)", text)
    if not match or not is_formula(text) or text[match.end() :].strip(" .0)]}$") and "dots" in text:
        return None
    return box(text[: match.start()] + str((int(match[0]) + 1) % 10) + text[match.end() :])


def first_digit(text, other):
    match = re.search(r"[1-8]", text)
    if (
        not match
        or not is_formula(text)
        or re.search(r"[a-z](?:_\{?|\{)\d", text[: match.end()].replace("frac{", "").replace("sqrt{", ""))
    ):
        return None
    return box(text[: match.start()] + str(int(match[0]) + 1) + text[match.end() :])


def ten_times(text, other):
    return box(text + "0") if INTEGER.fullmatch(text) and text.strip("-0") else None


def hundredth(text, other):
    return box(f"{int(text) / 100:g}") if re.fullmatch(r"[1-9]\d?", text) else None


def with_variable(text, other):
    return box(f"{text}g") if INTEGER.fullmatch(text) and text.strip("-0") else None


def with_letter(text, other):
    return box(f"{text} m") if is_single(text) and number(text) not in (0, None) else None


def without_letter(text, other):
    match = re.fullmatch(r"(-?\d+) ?([a-zA-Z])", text)
    return box(match[1]) if match else None


def member_missing(text, other):
    found = members(text)
    return box(", ".join(found[:-1])) if found else None


def member_repeated(text, other):
    found = members(text)
    return box(", ".join([*found, found[0]])) if found else None


def other_bracket(text, other):
    match = INTERVAL.fullmatch(text)
    if not match or "infty" in match[2]:
        return None
    return box(("(" if match[1] == "[" else "[") + text[1:])


def other_base(text, other):
    match = BASED.fullmatch(text)
    return box(f"{match[1]}_{{{int(match[2]) + 1}}}") if match and int(match[1]) >= int(match[2]) else None


def other_direction(text, other):
    if not BOUND.fullmatch(text):
        return None
    return changed_by(r"(?<=[a-zA-Z] )[<>]|(?<=[a-zA-Z])[<>]", lambda match: ">" if match[0] == "<" else "<", text)


def swapped_pair(text, other):
    match = re.fullmatch(r"\((-?\d+), ?(-?\d+)\)", text)
    return box(f"({match[2]}, {match[1]})") if match and match[1] != match[2] else None


def other_power_of_ten(text, other):
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{match[1]}\times10^{{{int(match[2]) + 1}}}") if match else None


def two_percent_off(text, other):
    match = SCIENTIFIC.fullmatch(text) or DECIMAL.fullmatch(text)
    value = number(text)
    if not match or not value:
        return None
    mantissa, _, power = f"{float(value) * 1.02:.6g}".partition("e")
    return box(rf"{mantissa}\times 10^{{{int(power)}}}" if power else mantissa)


def upside_down(text, other):
    match = FRACTION.fullmatch(text)
    return (
        box(rf"{match[1]}\frac{{{match[3]}}}{{{match[2]}}}")
        if match and match[2] != match[3] and int(match[2])
        else None
    )


def empty_last_box(text, other):
    return rf"\boxed{{{text}}} no, wait. \boxed{{}}"


def later_box(text, other):
    return rf"\boxed{{{text}}} is wrong, it is \boxed{{{other}}}" if differs(text, other) else None


CHANGED = {
    function.__name__: function
    for function in (
        another_answer, plus_one, opposite, last_digit, first_digit, ten_times, hundredth, with_variable, with_letter,
        without_letter, member_missing, member_repeated, other_bracket, other_base, other_direction, swapped_pair,
        other_power_of_ten, two_percent_off, upside_down, empty_last_box, later_box,
    )
}  # fmt: skip


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
