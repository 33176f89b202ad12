r"""Answers that are words: told apart from variables, and written in one way."""

from __future__ import annotations

import re

from verl_dots.rewards.answers.kinds import Words

_WORD = re.compile(r"(?<![A-Za-z\\_])(?!(?:sin|cos|tan|log)\b)[A-Za-z]{4,}(?![A-Za-z])")
_OPTION = re.compile(r"^(?:\\text\{\s*)?(?:option|choice)\s*\}?\s*(?=\(?[A-J]\)?$)", re.IGNORECASE)
_CHOICE = re.compile(
    r"^(?:\\text\{\s*)?(?:\(?([A-E])\)|([A-E])(?:\.|:(?= )))\s*\}?\s*"
    r"(?=\d|-\s*\d|\.\d|\\(?:frac|sqrt|text|pi)(?![a-z]))"
)
_SMALL_WORDS = frozenset({"no", "on", "up", "in", "at", "it", "by", "is", "as"})
_NONE = re.compile(r"^(?:there(?:is|are))?no(?:real)?solutions?(?:exists?)?$|^(?:the)?emptyset$")
_MOST_WORDS = 12


def has_words(text: str) -> bool:
    """Whether letters in a text are a word, not a product of variables: four or more, a name, a small word."""
    if _WORD.search(re.sub(r"\\[A-Za-z]+", " ", text)):
        return True
    return text.lower() in _SMALL_WORDS or re.fullmatch(r"[A-Z][A-Za-z]{2}", text) is not None


def without_option(text: str) -> str:
    """The letter alone of "Option A" and "A)"."""
    return re.sub(r"^([A-J])\)$", r"\1", _OPTION.sub("", text))


def split_choice(text: str) -> tuple[str, str]:
    """A choice's letter and its value, as in "(B) 24"; "" and the text where it has no letter."""
    match = _CHOICE.match(text)
    return ("", text) if match is None else (match[1] or match[2], text[match.end() :])


def words(text: str) -> Words:
    """A text without its case, spaces, punctuation and leading article."""
    plain = re.sub(r"\\text|\\degree", " ", text).lower()
    plain = re.sub(r"^\W*(?:(?:the|a|an|option|choice)\s+)+", "", plain)
    plain = plain if re.search("[a-z]", plain) else re.sub(r"(?<=\d)\s+(?=\d)", "_", plain)  # 3 4 is not 34
    text = (
        re.sub(r"[\s{}\\,;:!?\"'`*~]|(?<=\d)\.0+(?!\d)|(?<!\d)\.|\.(?!\d)", "", plain).replace("(", "").replace(")", "")
    )
    return Words(_NONE.sub("nosolution", text))


def has_clauses(text: str) -> bool:
    """Whether a text has so many words, over twelve, that its commas and "and" part clauses, not values."""
    plain = re.sub(r"\\[A-Za-z]+", " ", text)
    return len(re.findall(r"[A-Za-z]{2,}", plain)) > _MOST_WORDS
