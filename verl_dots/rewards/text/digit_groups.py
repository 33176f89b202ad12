"""Groups of digits that marks of LaTeX part."""

from __future__ import annotations

import re

_PARTED = re.compile(r"((?<![\d.,])\d{1,3}(?:\d{3})*|\.\d{3,})(?:\\[,;:]|\\ |~|\{\s\}|\\thinspace\s)\s*(?=\d{3}(?!\d))")


def join_groups(text: str) -> str:
    r"""Join groups of digits that `{,}`, `,\!`, `\,` or `\ ` part, before spacing is dropped: `1{,}234` is `1234`."""
    text = re.sub(
        r"(?<=\d)\s*(?:\{\s*,\s*\}|\\text\{,\}|,\s*\\!|\\!\s*,|\{,\\!\}|\{\\,\})\s*(?:\\!)?\s*(?=\d{3}(?!\d))", "", text
    )
    previous = None
    while text != previous:
        previous = text
        text = _PARTED.sub(r"\1", text)
    return re.sub(r"(?<=\d)\\!\s*(?=\d)", "", text)
