r"""Which text of a response is its final answer: the last `\boxed{...}`, or what stands behind "the answer is".

Only text is looked at here; what the answer means is read in `reading`.
"""

from __future__ import annotations

import re

from verl_dots.rewards.text.plain_formula import last_formula

_FORMULA_END = re.compile(r"(?<![\\{])\$|\\\]|\\\)")  # a dollar just behind the brace begins one
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
# A box without braces holds a number, a fraction or a choice's letter.
_BARE_BOX = re.compile(
    r"\\(?:boxed|fbox)\s*(-?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?|\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}|[A-J](?![A-Za-z]))"
)
# What may stand between two boxes of one list: nothing but delimiters, one separator, and the name of the next value.
_FILLING = r"(?:[\s$*]|\\[()\[\]]|\\[,;:! ]|\\q?quad\b)*"
_NAME = r"(?:(?:\\text\s*\{[^{}]*\}|\\?[A-Za-z]\w*(?:_\{?\w+\}?)?(?:\([a-z]\))?)\s*(?:=|\\in\b)\s*)?"
_BETWEEN = re.compile(
    rf"{_FILLING}(?P<separator>,?\s*(?:\\(?:text|mbox)\s*\{{\s*)?(?:and|or)\b(?:\s*\}})?|[,;&])"
    rf"{_FILLING}{_NAME}{_FILLING}"
)
# Characters between two boxes of one list: the pattern takes time with their cube where they are blanks.
LONGEST_BETWEEN = 200
_CUES = (
    re.compile(r"(?i)\bfinal\s+answer\W{0,6}(?:[^.\n$\\]{0,100}?\b(?:is|are|was|be)\b|:)"),
    re.compile(r"(?i)\banswer\W{0,6}(?:[^.\n$\\]{0,60}?\b(?:is|are|was|be)\b|:)"),
    re.compile(r"答案\s*(?:是|为|：|:)"),
    re.compile(r"(?i)\bcorrect\s+(?:option|choice)\W{0,6}(?:\b(?:is|was)\b|:)"),
    re.compile(r"####(?!\s*[A-Za-z]{2})"),  # no heading
    re.compile(r"(?i)<answer>"),
)
_LEAD = re.compile(r"(?i)^(?:(?:therefore|thus|simply|then|just|hence|equal to|given by|exactly)\b[\s,:*]*)+")
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<a>.+?)(?<!\\)\$\$|(?<!\\)\$(?P<b>[^$\n]+?(?:\\\$[^$\n]*?)*)(?<!\\)\$"
    r"|\\\[(?P<c>.+?)\\\]|\\\((?P<d>.+?)\\\)",
    re.DOTALL,
)
_DOLLAR = re.compile(r"(?<!\\)\$")
_SENTENCE_END = re.compile(
    r"\n\s*\n|\n(?=\S)|(?<=[^.\s])\.(?=\s+[A-Z]|\s*$)|。"
    r"|,?\s+(?=(?:because|since|which|where|as|so|that is|or equivalently|in other words)\b|i\.e\.)"
    r"|\s+\((?=(?:because|since|as|not)\b|i\.e\.)|</\w+>|<\|"
)
_QUOTES = ('""', "''", "“”", "‘’", "„“", "«»", "「」")
_MOOD = re.compile(r"(?<=\w)\?$|\s+[:;]-?[)D]$|[\s\u2600-\u27bf\u2b50\ufe0f\U0001f300-\U0001faff]+$")
_CHOICE = re.compile(r"(?i:(?:option|choice)\s*)?\(?([A-J])\)?[.!]?")
_JOINT = re.compile(r"\s*(?:,?\s*\b(?:and|or)\b|[,;])\s*")


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last complete `\boxed{...}` in `text`, or None.

    Braces are balanced and escaped ones skipped: "\boxed{\frac{1}{2}}" gives "\frac{1}{2}".
    Of nested boxes the innermost last one counts. A box that is never closed, as in a
    response cut at the length limit, is passed over for the one before it.
    """
    found = _boxes(text)
    return found[-1][2].strip() if found else None


def boxed_answer(text: str) -> str | None:
    r"""Return what the last boxes say: boxes joined by commas, "and" or "or" are one list; None without a box.

    "\boxed{3}, \boxed{5} and \boxed{7}" gives "3, 5, 7". An empty last box gives "".
    """
    found = _boxes(text)
    if not found:
        return None
    group = [found[-1]]
    words = []
    for box in reversed(found[:-1]):
        between = text[box[1] : group[0][0]]
        joint = _BETWEEN.fullmatch(between) if len(between) <= LONGEST_BETWEEN else None
        if box[1] > group[0][0] or joint is None:
            break
        group.insert(0, box)
        words.insert(0, r" \text{or} " if "or" in joint["separator"] else ", ")
    contents = [content.strip() for _, _, content in group]
    if not contents[-1] or len(contents) == 1:
        return contents[-1]
    return "".join(part for pair in zip(contents, [*words, ""], strict=True) for part in pair)


def unboxed_answer(text: str) -> str:
    """Return the answer of a response without a box.

    That is what follows the last "final answer is", else the last "answer is" or "answer:", else the last formula,
    with delimiters or round the last number, whichever ends later.
    """
    for cue in _CUES:
        for match in reversed(list(cue.finditer(text))):
            if answer := _first_statement(text[match.end() :]):
                return answer
    if choice := _CHOICE.fullmatch(_bare_statement(text)):
        return choice[1]
    formulas = list(_FORMULA.finditer(text))
    plain, end = last_formula(text)
    return _joined_formulas(text, formulas) if formulas and end <= formulas[-1].end() else plain


def final_answer(text: str) -> str:
    """Return the final answer of a response as it is written, "" where there is none.

    Where the response was cut within its only box, what stands before the box is read: half a number is no answer.
    Of a response that ends with an answer behind its thoughts, only what is behind them counts.
    """
    text = without_thoughts(text)
    boxed = boxed_answer(text)
    return unboxed_answer(text[: _open_box(text)]) if boxed is None else boxed


def without_thoughts(text: str) -> str:
    """What stands behind the last `</think>`, where that holds an answer; else all of the text."""
    _, mark, behind = text.rpartition("</think>")
    return behind if mark and (boxed_answer(behind) is not None or unboxed_answer(behind)) else text


def bare(answer: str) -> str:
    """Return an answer without superfluous spaces and without the delimiters around it; "" for delimiters alone."""
    answer = " ".join(answer.split())
    for left, right in (("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")):
        inner = answer[len(left) : -len(right)]
        if answer.startswith(left) and answer.endswith(right) and len(answer) >= len(left + right):
            return answer if _DOLLAR.search(inner) else inner.strip()
    return answer


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Start, end and content of each complete box that holds no other one, by its end."""
    found = []
    for match in _BOX.finditer(text):
        end = _closing_brace(text, match.end())
        if end is not None:
            found.append((match.start(), end + 1, text[match.end() : end]))
    found += [(match.start(), match.end(), match[1]) for match in _BARE_BOX.finditer(text)]
    found.sort(key=lambda box: box[0])
    return [box for box in found if not any(box[0] < other[0] and other[1] < box[1] for other in found)]


def _open_box(text: str) -> int | None:
    """Where the last box starts that the end of the text cuts off, or None: behind a malformed one the formula ends."""
    opened = [match for match in _BOX.finditer(text) if _closing_brace(text, match.end()) is None]
    if not opened or _FORMULA_END.search(text, opened[-1].end()):
        return None
    return opened[-1].start()


def _closing_brace(text: str, start: int) -> int | None:
    """Return the index of the brace that closes the one just before `start`, or None."""
    depth, index = 1, start
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
        index += 1
    return None


def _first_statement(text: str) -> str:
    """The answer at the start of a text: its formulas where it has some, else its first sentence."""
    text = _LEAD.sub("", text.lstrip(" \t\n*:_`"))
    formula = _FORMULA.search(text)
    end = _SENTENCE_END.search(text)
    if formula and (end is None or formula.start() < end.start()):
        before = text[: formula.start()].strip(" *:")
        rest = [match for match in _FORMULA.finditer(text) if match.start() >= formula.start()]
        if not before or not re.search(r"\d", before):
            group = [rest[0]]
            for match in rest[1:]:
                if not _JOINT.fullmatch(text[group[-1].end() : match.start()]):
                    break
                group.append(match)
            return _joined(group)
    return _bare_statement(text[: end.start() if end else None])


def _bare_statement(text: str) -> str:
    """A sentence without marks, quotes, signs of a mood, and its full stop."""
    previous = None
    while text != previous:
        previous, text = text, _MOOD.sub("", text.strip(" *_`\n\t").removesuffix("."))
        text = next(
            (text[1:-1] for left, right in _QUOTES if text[:1] == left and text[-1:] == right and text[1:]), text
        )
    return text


def _joined_formulas(text: str, formulas: list[re.Match]) -> str:
    group = [formulas[-1]]
    for match in reversed(formulas[:-1]):
        if not _JOINT.fullmatch(text[match.end() : group[0].start()]):
            break
        group.insert(0, match)
    return _joined(group)


def _joined(group: list[re.Match]) -> str:
    return ", ".join(next(part for part in match.groups() if part is not None).strip() for match in group)
