r"""Texts of questions: the instruction that goes with them, and when two of them are the same.

Two texts are the same when `normalise` gives the same: case, spaces and the LaTeX that only changes the looks
(`$`, `\(`, `\left`, `\dfrac` for `\frac`, thin spaces) do not count; every operator and number does.
"""

import hashlib
import re
import unicodedata

INSTRUCTION = r"Reason step by step, and put the final answer in \boxed{}."
# What else published sets append to a question, to be taken off again.
FOREIGN_INSTRUCTIONS = (
    r"Let's think step by step and output the final answer within \boxed{}.",
    r"Please reason step by step, and put your final answer within \boxed{}.",
)
_LOOKS = re.compile(r"\\(?:left|right|displaystyle)(?![a-z])|\\[()\[\],!;: ]|[$~\s]")
_FRACTION = re.compile(r"\\[dt]frac(?![a-z])")


def with_instruction(question: str) -> str:
    """The user message: the question, a blank line, the instruction."""
    return f"{question}\n\n{INSTRUCTION}"


def without_instruction(message: str) -> str:
    """The question in a user message; a message without a known instruction is returned as it is."""
    text = message.strip()
    for instruction in (INSTRUCTION, *FOREIGN_INSTRUCTIONS):
        if text.endswith(instruction):
            return text.removesuffix(instruction).rstrip()
    return message


def normalise(text: str) -> str:
    r"""What must be equal for two texts to be the same.

    "Find $\dfrac{1}{2} + x$." and "find  \(\frac12 + x\)" differ ({1}{2} and 12), "Find $\frac{1}{2}+x$" is the first.
    A text of which nothing would be left counts as it is.
    """
    plain = unicodedata.normalize("NFC", text).casefold()
    plain = _FRACTION.sub(r"\\frac", _LOOKS.sub("", plain)).rstrip(".?:")
    return plain or text


def digest(*texts: str) -> int:
    """64 bits of the sha256 of the texts. Among a million, two share them by chance with a probability of 3e-8."""
    joined = "\0".join(texts).encode("utf-8")
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "big")
