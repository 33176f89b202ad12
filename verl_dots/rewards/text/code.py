r"""Python's and calculators' ways to write an answer, as LaTeX: `2**3`, `np.sqrt(2)`, `math.factorial(5)`, `3./2`."""

from __future__ import annotations

import re

_BARE_FUNCTION = re.compile(
    r"(?<![A-Za-z\\])(?<!\\text\{)(?:np\.|math\.|numpy\.|sp\.|sympy\.)?"
    r"(arcsin|arccos|arctan|asin|acos|atan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log10|log2|log|ln|exp|sqrt|pi|infinity|infty|inf)"
    r"(?![A-Za-z])"
)
_MODULE = re.compile(r"(?<![A-Za-z\\])(?:np|numpy|math|sp|sympy|scipy)\.(?:array(?=\())?")
# Calls that LaTeX has no command for; `expressions.parser` reads them by these names.
_CALL = re.compile(
    r"(?<![A-Za-z\\])(?:(?:np|numpy|math|sp|sympy|scipy)\.(?P<call>power|pow|factorial|comb|floor|ceil|f?abs|Abs)"
    r"|(?P<bare>abs|Abs|pow))\s*(?=\()"
)
_CALLS = {"pow": "power", "fabs": "abs", "Abs": "abs"}


def as_latex(text: str) -> str:
    """A text with `**`, `np.`, bare names of functions, or a caret with several digits, as LaTeX."""
    text = re.sub(r"\+\s?/\s?-", r"\\pm ", text.replace("**", "^"))
    natural = "np.log(" in text or "math.log(" in text or "numpy.log(" in text
    text = _BARE_FUNCTION.sub(lambda match: _function_name(match[1], natural, match.end(), text), text)
    text = _MODULE.sub("", _CALL.sub(_call, text))
    text = re.sub(r"\\exp\s*\(", r"\\exp(", text)
    text = re.sub(r"(?<=\d)\s*\.\s*(?=[/*+)])", "", text)  # 3./2
    text = re.sub(r"\^\s*\(([^()]*)\)", r"^{\1}", text)
    text = re.sub(r"\^\s*([-+]?\d+(?:\.\d+)?)(?!\s*\})", r"^{\1}", text)
    text = re.sub(r"(?<![\d.])\.(?=\d)", "0.", text)
    return re.sub(r"(?<![A-Za-z\\\d])(\d++)\s+(\d++)\s*/\s*(\d++)(?!/)", r"\1\\frac{\2}{\3}", text)


def _function_name(name: str, natural: bool, end: int, text: str) -> str:
    if name in ("infinity", "inf"):
        return r"\infty "
    if name.startswith("log1") or name == "log2":
        return rf"\log_{{{name[3:]}}} "
    if name == "log" and natural:
        return r"\ln "
    name = "arc" + name[1:] if name in ("asin", "acos", "atan") else name
    return "\\" + name + ("" if text[end : end + 1] in ("(", "{", "[", "^", "_") else " ")


def _call(match: re.Match) -> str:
    name = match["call"] or match["bare"]
    return "\\" + _CALLS.get(name, name)
