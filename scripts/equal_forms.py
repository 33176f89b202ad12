"""Forms of a right answer: the same answer written in another way, or None where a form does not apply.

Each keeps the meaning of every answer that it applies to, so of a right grader all score.
"""

import re

from scripts.answer_shapes import (
    BASED,
    BOUND,
    DECIMAL,
    FRACTION,
    INTERVAL,
    SCIENTIFIC,
    WORD,
    box,
    changed_by,
    is_formula,
    is_single,
    number,
)
from scripts.form_makers import (
    Form,
    any_answer,
    grouped_by,
    in_box,
    of_members,
    plain,
    plain_number,
    power_of_ten,
    replaced,
    whole,
    written,
)


def shifted_power(text: str) -> str | None:
    match = SCIENTIFIC.fullmatch(text)
    return box(rf"{float(match[1]) * 10:.6g}\times 10^{{{int(match[2]) - 1}}}") if match else None


def slash_fraction(text: str) -> str | None:
    return (
        box(re.sub(r"\\[dt]?frac", "", text).replace("}{", "/").strip("{}"))
        if FRACTION.fullmatch(text) and text[0] != "-"
        else None
    )


def unreduced_fraction(text: str) -> str | None:
    match = FRACTION.fullmatch(text)
    return box(rf"{match[1]}\frac{{{3 * int(match[2])}}}{{{3 * int(match[3])}}}") if match else None


def sign_in_numerator(text: str) -> str | None:
    match = FRACTION.fullmatch(text)
    return box(rf"\frac{{-{match[2]}}}{{{match[3]}}}") if match and match[1] else None


def left_right(text: str) -> str | None:
    if not is_formula(text) or "\\left" in text or re.search(r"\([^()]*[\]]|[\[][^()\[\]]*\)|\\sqrt\[", text):
        return None
    return changed_by(r"[(\[]|[)\]]", lambda match: ("\\left" if match[0] in "([" else "\\right") + match[0], text)


def other_relation_commands(text: str) -> str | None:
    if not is_formula(text):
        return None
    return changed_by(r"\\(le|ge)(q?)(?![a-z])", lambda match: f"\\{match[1]}" + ("" if match[2] else "q"), text)


def unicode_symbols(text: str) -> str | None:
    if not is_formula(text) or re.search(r"\\sqrt\[|\\sqrt(?!\{\d+\}|\{?[a-z]\b)", text):
        return None
    for command, sign in (("\\pi", "π"), ("\\infty", "∞"), ("\\leq", "≤"), ("\\geq", "≥"), ("\\le", "≤"), ("\\ge", "≥"),
                          ("\\cup", "∪"), ("\\pm", "±"), ("\\times", "×"), ("\\cdot", "·")):  # fmt: skip
        text = re.sub(re.escape(command) + r"(?![a-z])", sign, text)
    new = re.sub(r"\\sqrt\{(\d+)\}", r"√\1", text).replace("-", "−")
    return box(new) if not new.isascii() else None


def swapped_sum(text: str) -> str | None:
    match = re.fullmatch(r"(\d*\\pi|\d+|\d*\\sqrt\{\d+\})\s*\+\s*(\d*\\pi|\d+|\d*\\sqrt\{\d+\})", text)
    return box(f"{match[2]}+{match[1]}") if match else None


def as_decimal(text: str) -> str | None:
    value = number(text) if FRACTION.fullmatch(text) else None
    if value is None or 10**6 % value.denominator:
        return None
    return box(f"{float(value)}")


def as_fraction(text: str) -> str | None:
    value = number(text) if DECIMAL.fullmatch(text) else None
    return None if value is None else box(rf"\frac{{{value.numerator}}}{{{value.denominator}}}")


def interval_as_inequality(text: str) -> str | None:
    match = INTERVAL.fullmatch(text)
    if not match or "infty" in text or (match[1] == "(" and match[4] == ")"):
        return None
    signs = [r"\le" if mark in "[]" else "<" for mark in (match[1], match[4])]
    return box(f"{match[2]} {signs[0]} x {signs[1]} {match[3]}")


def bound_as_interval(text: str) -> str | None:
    match = BOUND.fullmatch(text)
    if not match or "infty" in text:
        return None
    strict, above = match[2] in "<>", match[2] in (">", "\\ge", "\\geq")
    low, high = ("(" if strict else "[", ")" if strict else "]")
    return box(rf"{low}{match[3]}, \infty)" if above else rf"(-\infty, {match[3]}{high}")


def bound_flipped(text: str) -> str | None:
    match = BOUND.fullmatch(text)
    if not match:
        return None
    flipped = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\leq": "\\geq", "\\geq": "\\leq"}
    return box(f"{match[3]} {flipped[match[2]]} {match[1]}")


def both_signs(text: str) -> str | None:
    match = re.fullmatch(r"([^,;=\\]*(?:\\sqrt\{\d+\})?)\s*\\pm\s*([^,;={}]*(?:\{[^{}]*\}[^,;={}]*)*)", text)
    return box(f"{match[1]}+{match[2]}, {match[1]}-{match[2]}") if match and is_formula(text) else None


def base_braces(text: str) -> str | None:
    match = BASED.fullmatch(text)
    return box(f"{match[1]}_{{{match[2]}}}") if match and "{" not in text else None


def base_in_round_brackets(text: str) -> str | None:
    match = BASED.fullmatch(text)
    return box(f"({match[1]})_{{{match[2]}}}") if match else None


def word_in_text(text: str) -> str | None:
    match = WORD.fullmatch(text)
    return (box(rf"\text{{{match[1]}}}") if "\\text" not in text else box(match[1])) if match else None


def word_in_bold(text: str) -> str | None:
    match = WORD.fullmatch(text)
    return box(rf"\textbf{{{match[1]}.}}") if match else None


THEREFORE = r"Therefore \boxed{@}"
EQUAL: dict[str, Form] = {
    # Around the answer.
    "boxed": lambda text: written(any_answer, r"\boxed{@}" if "$" not in text else THEREFORE)(text),
    "display": written(lambda text: "$" not in text and "\\[" not in text, r"\[ \boxed{@} \]"),
    "full_stop_inside": written(lambda text: not text.endswith((".", "!", "?")), r"Therefore \boxed{@.}"),
    "full_stop_behind": written(any_answer, r"Hence \(\boxed{@}\)."),
    "closing_tag": written(any_answer, r"<think>\boxed{0} no</think> The answer is \(\boxed{@}\).</answer>"),
    "spaces_inside": written(any_answer, r"Therefore \boxed{  @ }"),
    "final_answer_is": written(is_formula, "We are done. The final answer is $@$."),
    "answer_colon": written(is_formula, "Some work, x = 17.\n\nAnswer: $@$"),
    "bold_answer": written(plain, "Some work, x = 17.\n\n**Answer:** @."),
    "dollars_inside": written(is_formula, r"Thus \boxed{$@$}"),
    "displaystyle": in_box(is_formula, r"\displaystyle @"),
    # Other LaTeX for the same.
    "dfrac": replaced(is_formula, r"\\frac(?=\s*\{)", r"\\dfrac"),
    "tfrac": replaced(is_formula, r"\\d?frac(?=\s*\{)", r"\\tfrac"),
    "short_fraction": replaced(is_formula, r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2"),
    "slash_fraction": slash_fraction,
    "unreduced_fraction": unreduced_fraction,
    "sign_in_numerator": sign_in_numerator,
    "left_right": left_right,
    "without_left_right": replaced(is_formula, r"\\(?:left|right)\s*(?=[()\[\]])", ""),
    "without_spaces": replaced(is_formula, r"(?<!\d) +(?![A-Za-z\d])|(?<=[+\-,(=]) +(?=\w)| +(?=[+\-,)=])", ""),
    "spaced_operators": replaced(is_formula, r"(?<=[\w})!])\s*([+\-=<>])\s*(?=[\w\\(])(?![^{]*\})", r" \1 "),
    "thin_spaces": replaced(is_formula, r"(?<=[\w})])([+=])(?=[\w\\(])(?![^{]*\})", r"\\,\1\\;"),
    "other_relation_commands": other_relation_commands,
    "unicode_symbols": unicode_symbols,
    "product_star": replaced(is_single, r"\s*\\(?:cdot|times)\s*", "*"),
    "plain_pi": replaced(lambda text: is_single(text) and "\\frac" not in text, r"(?<=\d)\s*\\pi(?![a-z])(?!_)", "*pi"),
    "plain_square_root": replaced(
        lambda text: is_single(text) and "frac" not in text, r"(?<![\d}])\\sqrt\{(\d+)\}", r"sqrt(\1)"
    ),
    "in_text": in_box(plain_number, r"\text{@}"),
    "in_mathrm": in_box(lambda text: whole(text) or WORD.fullmatch(text), r"\mathrm{@}"),
    "named": in_box(lambda text: is_single(text) and "\\$" not in text, "k = @"),
    "swapped_sum": swapped_sum,
    # Numbers.
    "comma_groups": grouped_by(","),
    "thin_space_groups": grouped_by(r"\,"),
    "brace_comma_groups": grouped_by("{,}"),
    "negative_space_groups": grouped_by(r",\!"),
    "named_groups": grouped_by(",", "N = @"),
    "zero_decimals": in_box(lambda text: whole(text) and not text.lstrip("-").startswith("0"), "@.0"),
    "more_zeros": in_box(DECIMAL.fullmatch, "@00"),
    "as_decimal": as_decimal,
    "as_fraction": as_fraction,
    "with_dollar": in_box(lambda text: whole(text) and text[0] != "-", r"\$@"),
    "with_unit": in_box(lambda text: plain_number(text) or FRACTION.fullmatch(text), r"@\text{ units}"),
    "with_word": in_box(whole, "@ apples"),
    "without_degrees": replaced(any_answer, r"^(-?[\d.]+)\^\{?\\circ\}?$", r"\1"),
    "degree_sign": replaced(any_answer, r"^(-?[\d.]+)\^\{?\\circ\}?$", r"\1°"),
    "without_percent": replaced(any_answer, r"(?<=\d) ?\\%$", ""),
    "percent_word": replaced(any_answer, r"(?<=\d) ?\\%$", " percent"),
    "without_dollar": replaced(any_answer, r"^\\\$ ?(?=[\d.]+$)", ""),
    "leading_zero": in_box(re.compile(r"\d{2}").fullmatch, "0@"),
    "times_power": power_of_ten(r"{} \times 10^{{{}}}"),
    "dot_power": power_of_ten(r"{}\cdot10^{{{}}}"),
    "plain_power": power_of_ten("{} × 10^{}"),
    "power_with_unit": power_of_ten(r"{}\times 10^{{{}}} \text{{ erg/s}}"),
    "shifted_power": shifted_power,
    # Lists, sets, intervals.
    "reversed_list": of_members(lambda found: box(", ".join(reversed(found)))),
    "list_with_and": of_members(lambda found: box(", ".join(found[:-1]) + r" \text{ and } " + found[-1])),
    "several_boxes": of_members(
        lambda found: ", ".join(rf"$\boxed{{{each}}}$" for each in found[:-1]) + rf" and $\boxed{{{found[-1]}}}$."
    ),
    "as_set": of_members(lambda found: box(r"\{" + ", ".join(found) + r"\}")),
    "interval_as_inequality": interval_as_inequality,
    "bound_as_interval": bound_as_interval,
    "bound_flipped": bound_flipped,
    "both_signs": both_signs,
    "base_braces": base_braces,
    "base_in_round_brackets": base_in_round_brackets,
    "word_in_text": word_in_text,
    "word_in_bold": word_in_bold,
}
