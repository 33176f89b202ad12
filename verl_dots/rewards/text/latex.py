r"""One way to write what LaTeX and plain text write in many: the text of an answer before it is read.

`clean` is applied to ground truths and responses alike. Delimiters, spacing, sizes and fonts are dropped, symbols
become commands, `\frac12` becomes `\frac{1}{2}`, `2**3` becomes `2^{3}`, `np.sqrt(2)` becomes `\sqrt{2}`. Words stay in
`\text{...}`, where they are told apart from variables. Numbers are read in `reading.numbers`.
"""

from __future__ import annotations

import re
import unicodedata

from verl_dots.rewards.text.code import as_latex
from verl_dots.rewards.text.digit_groups import join_groups
from verl_dots.rewards.text.fonts import without_fonts
from verl_dots.rewards.text.symbols import SYMBOLS, SYNONYMS
from verl_dots.rewards.text.units_in_line import in_line

# A backslash that became a control character on the way ("\frac" read as an escape).
_ESCAPED = (
    (re.compile(r"\x0c(?=[a-z])"), r"\\f"),
    (re.compile(r"\x08(?=[a-z])"), r"\\b"),
    (re.compile(r"\x07(?=[a-z])"), r"\\a"),
    (re.compile(r"\x0b(?=[a-z])"), r"\\v"),
    (re.compile(r"\t(?=(?:imes|ext|frac|heta|an|au|riangle)\b|ext\{)"), r"\\t"),
    (re.compile(r"\r(?=(?:ight|ho|angle|floor|ceil))"), r"\\r"),
    (re.compile(r"(?<![A-Za-z\\])(?=rac\{)"), r"\\f"),
    (re.compile(r"(?<![A-Za-z\\])(?=ext\{)|(?<=\d) +(?=imes\b)"), r"\\t"),
)
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SMALL = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ₀₁₂₃₄₅₆₇₈₉", "0123456789+-n0123456789")
_SIZES = (
    "displaystyle|textstyle|scriptstyle|limits|nolimits|allowbreak|strut|relax|"
    "tiny|small|normalsize|large|Large|LARGE|huge|Huge"
)
_NOISE = (
    (re.compile(rf"\\(?:{_SIZES}|left\.|right\.)(?![A-Za-z])"), " "),
    (re.compile(r"\\(?:left|right|middle|[bB]ig{1,2}[lrm]?)(?![A-Za-z])\s*"), ""),
    (re.compile(r"\\m?(?:left|right)\s*(?=[\[\](){}|\\])"), ""),
    (re.compile(r"\\(?:hspace|vspace|phantom|hphantom|vphantom|label|tag|color|textcolor)\*?\s*\{[^{}]*\}"), " "),
    (re.compile(r"\\!"), ""),
    (re.compile(r"(?:(?<=\d)|(?<=\d\}))\s*\\q?quad\s*(?=[-+]?(?:\d|\\[dt]?frac|\\sqrt)|[A-Za-z]\s*=)"), ", "),
    (re.compile(r"(?<!\\)\\(?:[,;: ]|(?:q?quad|en(?:space|skip)|(?:thin|med|thick)space)(?![A-Za-z]))"), " "),
    (re.compile(r"(?<!\\)~(?!=)"), " "),
)  # fmt: skip
_LEFT, _RIGHT = re.compile(r"(?<!\\)\{"), re.compile(r"(?<!\\)\}")
_CURRENCY = re.compile(r"^\s*(?:\\text\{\s*)?(?:Rs\.?|USD|EUR|GBP|INR|US)\s*\}?\s*(?=-?[\d.])", re.IGNORECASE)
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SHORT = r"\d|[A-Za-z]|\\pi"
_SHORT_FRACTION = re.compile(
    rf"\\frac\s*(?:(?P<above>\{{(?:[^{{}}]|\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}})*\}})\s*(?P<below>{_SHORT})"
    rf"|(?P<short>{_SHORT})\s*(?P<under>{_SHORT}|(?=\{{)))"
)
_SHORT_ROOT = re.compile(
    r"\\sqrt\s*((?:\[[^\[\]]*\])?)\s*(\d+|[A-Za-z]|\\(?!(?:frac|sqrt|binom)(?![a-z]))[a-z]+)(?![A-Za-z])"
)
_ROOT_OF_FRACTION = re.compile(
    r"(\\sqrt\s*(?:\[[^\[\]]*\])?)\s*(\\(?:frac|binom)\{[^{}]*\}\{[^{}]*\}|\\sqrt\{[^{}]*\})"
)
_SHORT_WORD = re.compile("[A-Za-z]{2,3}")  # without its font it would be a product of letters
_MINUS = re.compile(
    r"(?<![A-Za-z\\])(?:\\text\s*\{\s*)?(?:minus|negative)(?![A-Za-z])\s*\}?\s*(?=\d|\.\d|\\(?:frac|sqrt|pi)(?![a-z]))",
    re.IGNORECASE,
)
_LIST_FUNCTION = re.compile(
    r"(?:\\text\s*\{\s*|(?<![A-Za-z\\{]))(gcd|lcm|max|min)(?:\s*\}|(?![A-Za-z]))(?=\s*(?:\(|\\\{))"
)
_DEGREES = re.compile(
    r"\^\s*\{?\s*\\*circ\s*\}?|(?<=\d)\^\s*\{?\s*o\s*\}?(?![A-Za-z])|\\degree\b|(?<=\d)\s*\\text\{\s*degrees?\s*\}|(?<=[\d}])\s*degrees?\b"
)
_ORDINAL = re.compile(
    r"(?<=\d)\s*(?:\^\s*\{?\s*\\text\{(?:st|nd|rd|th)\}\s*\}?|\\text\{(?:st|nd|rd|th)\}|(?:st|nd|rd|th)(?![A-Za-z]))"
)
_LEAD = re.compile(r"^\s*\\text\{[^{}]*(?:\b(?:is|are|equals|about|approximately|roughly)|[:=])\s*\}\s*(?=\S)")
_PERCENT = re.compile(r"\\?%|\\text\{\s*(?:percent(?:age)?|pct|\\?%)\s*\}|\b(?:percent|percentage|pct)\b")


def clean(text: str) -> str:
    """Return a text of an answer in the one way in which it is read further.

    "$\\left(\\dfrac12,\\; π\\right).$" gives "(\\frac{1}{2}, \\pi)".
    """
    for pattern, command in _ESCAPED:
        text = pattern.sub(command, text)
    text = _plain_symbols(text)
    text = join_groups(strip_delimiters(text))
    for pattern, replacement in _NOISE:
        text = pattern.sub(replacement, text)
    text = in_line(_CURRENCY.sub("", without_fonts(text)))
    text = _COMMAND.sub(_synonym, re.sub(r"\\\\(?=(?:frac|sqrt|circ|pi|text|cdot|times)\b)", r"\\", text))
    text = _plain_words(text)
    text = _LEAD.sub("", _ORDINAL.sub("", text))
    text = _PERCENT.sub(r"\\percent ", text)
    text = _DEGREES.sub(r"\\degree ", text)
    text = as_latex(text)
    text = _groups(text + "}" * min(3, max(0, len(_LEFT.findall(text)) - len(_RIGHT.findall(text)))))
    return " ".join(text.split()).strip()


def strip_delimiters(text: str) -> str:
    r"""Drop dollars, `\(`, `\[`, code marks and bold marks; a dollar before a number is a currency, dropped as well."""
    text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text)
    text = re.sub(
        r"(?:(?:\\text\s*\{\s*)?\b(?:US|AU|CA|HK|NZ|NT)\s*\}?\s?)?\\?[$](?=\s*\d)|\b[ACRS]\\[$](?=\s*\d)|\\?[$]|[€£¥₹₽¢]",
        " ",
        text,
    )
    text = re.sub(r"(?<=[\w)]) \*\* (?=[-+]?\d|\(|[a-z]\b)", "^", text)  # a power, not bold
    return re.sub(r"\*\*(?=\s|$)|^\s*\*\*|``?`?|^\s*#+\s", " ", text)


def strip_end(text: str) -> str:
    """Drop a full stop, comma, colon or semicolon at the end, and the spaces."""
    previous = None
    while text != previous:
        previous, text = text, re.sub(r"(?<!\\)[.,;:]$|\\+$|(?<![\\\d])!$(?<=\s!)", "", text.strip()).strip()
    return text


def _plain_symbols(text: str) -> str:
    if text.isascii():
        return text
    text = _SUPERSCRIPT.sub(lambda match: "^{" + match[0].translate(_SMALL) + "}", text)
    text = _SUBSCRIPT.sub(lambda match: "_{" + match[0].translate(_SMALL) + "}", text)
    text = _of_letter_styles(text)
    text = re.sub(r"([√∛∜])\s*(?:\{|(\d+(?:\.\d+)?|[A-Za-z]|π)|\()", _root_sign, text)
    text = "".join(SYMBOLS.get(character, character) for character in text)
    text = unicodedata.normalize("NFKC", text)
    return text.translate(str.maketrans("；，。：（）", ";,.:()"))


def _of_letter_styles(text: str) -> str:
    """Bold, italic and script letters and digits as plain ones; a fraction in one character stays."""
    return "".join(
        unicodedata.normalize("NFKC", character) if character > "\U0001d3ff" else character for character in text
    )


def _root_sign(match: re.Match) -> str:
    root = r"\sqrt" + {"√": "", "∛": "[3]", "∜": "[4]"}[match[1]]
    return root + ("{" + match[2] + "}" if match[2] else match[0][-1])


def _synonym(match: re.Match) -> str:
    name = match[1]
    return match[0] if name not in SYNONYMS else _command(SYNONYMS[name])


def _command(name: str) -> str:
    if len(name) == 1 or not name.isalpha():
        return "\\" + name if name in "{}" else name
    return " and " if name == "and" else "\\" + name


def _plain_words(text: str) -> str:
    r"""Unwrap `\text{...}` around numbers, formulas and single letters; trim the others."""
    text = _MINUS.sub("-", text)
    text = re.sub(r"\\text\s*\{\s*(-?[\d.,:/\s]*\d[\d.,:/\s]*|[A-Za-z]|\([A-Za-z]\)|:|)\s*\}", _unwrapped, text)
    text = re.sub(r"\\text\s*\{\s*(arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|exp)\s*\}", r"\\\1 ", text)
    text = _LIST_FUNCTION.sub(r"\\\1", text)
    text = re.sub(r"\\text\s*\{\s*([^{}]*?)\s*\}", r"\\text{\1}", text)
    whole = re.fullmatch(r"\s*\\text\{([^{}]*)\}\s*([.,]?)\s*", text)
    return whole[1] if whole and not _SHORT_WORD.fullmatch(whole[1]) else text


def _unwrapped(match: re.Match) -> str:
    """A number or a letter without its font, except for a unit's letter behind a number."""
    behind_number = re.search(r"(?:[\d})]|/|\\cdot|\*)\s*$", match.string[: match.start()])
    return match[0] if behind_number and match[1] in tuple("gmshlLAVWNJKCFTHcd") else match[1] + " "


def _groups(text: str) -> str:
    r"""Give every fraction, root and power its braces: `\frac12`, `\sqrt3`, `\sqrt(2)`, `\sqrt x`."""
    previous = None
    while previous != text:
        previous = text
        text = _SHORT_FRACTION.sub(_full_fraction, text)
        if len(text) > 8192:
            break
    text = _ROOT_OF_FRACTION.sub(r"\1{\2}", _SHORT_ROOT.sub(r"\\sqrt\1{\2}", text))
    text = _round_roots(text)
    text = re.sub(r"\\binom\s*(\w)\s*(\w)", r"\\binom{\1}{\2}", text)
    text = re.sub(r"\{\s*([^{}]+?)\s*\\over(?![a-z])\s*([^{}]+?)\s*\}", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\{\s*([^{}]+?)\s*\\choose\s*([^{}]+?)\s*\}", r"\\binom{\1}{\2}", text)
    return re.sub(r"\\(frac|sqrt|binom)\s+(?=[{\[])", r"\\\1", re.sub(r"\}\s+\{", "}{", text))


def _full_fraction(match: re.Match) -> str:
    r"""A fraction with braces round the parts that had none; in `\frac1{12}` the lower one has them."""
    if match["above"]:
        return rf"\frac{match['above']}{{{match['below']}}}"
    return rf"\frac{{{match['short']}}}" + (f"{{{match['under']}}}" if match["under"] else "")


def _round_roots(text: str) -> str:
    r"""`\sqrt(2+x)` becomes `\sqrt{2+x}`."""
    start = 0
    while (at := text.find(r"\sqrt(", start)) >= 0:
        depth, start = 0, at + 6
        for index in range(at + 5, len(text)):
            depth += {"(": 1, ")": -1}.get(text[index], 0)
            if depth == 0:
                text = text[: at + 5] + "{" + text[at + 6 : index] + "}" + text[index + 1 :]
                break
    return text
