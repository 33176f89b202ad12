"""Questions that are left out because they occur in an evaluation set, or because their prompt is too long."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.problems import SourceError
from data_prep.text import digest, normalise, without_instruction
from verl_dots.data.file_lists import QuestionError
from verl_dots.data.questions import read_questions

Message = Mapping[str, str]


class Exclusion:
    """Questions of evaluation sets, by normalised text.

    Attributes:
        counts: rows found so far, by evaluation file; one that is in two files counts for both.
    """

    def __init__(self, files: Sequence[str | Path]):
        """Read the evaluation sets.

        Raises:
            SourceError: a file is no parquet in verl's schema.
        """
        self.counts: Counter[str] = Counter({str(file): 0 for file in files})
        self._files: dict[int, list[str]] = {}
        for file in files:
            try:
                texts = read_questions([file], on_conflict="keep").texts
            except QuestionError as error:
                raise SourceError(f"--exclude {file}: {error}", key="--exclude", reason=error.reason) from error
            for text in texts:
                named = self._files.setdefault(digest(normalise(without_instruction(text))), [])
                named += [str(file)] if str(file) not in named else []

    def holds(self, question: str) -> bool:
        """Whether the question is in an evaluation set; counts it there."""
        found = self._files.get(digest(normalise(question)), []) if self._files else []
        self.counts.update(found)
        return bool(found)


class LengthLimit:
    """Prompts of at most ``most`` tokens in the tokenizer's chat format, counted as verl counts them."""

    def __init__(self, most: int, tokenizer: str):
        """Load the tokenizer.

        Raises:
            SourceError: there is none, or it has no chat template.
        """
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(tokenizer)
        except (OSError, ValueError) as error:
            raise SourceError(f"--tokenizer {tokenizer}: {error}", key="--tokenizer", reason="file") from error
        if not self._tokenizer.chat_template:
            text = f"--tokenizer {tokenizer} has no chat template, so a prompt has no length; take another"
            raise SourceError(text, key="--tokenizer", reason="file")
        self._most, self._name = most, tokenizer

    def fits(self, prompts: Sequence[Sequence[Message]]) -> list[bool]:
        """For each prompt whether it is short enough, the opening of the answer included.

        Raises:
            SourceError: the chat template refuses the prompts.
        """
        from jinja2 import TemplateError

        try:
            texts: list[str] = self._tokenizer.apply_chat_template(
                [_plain(prompt) for prompt in prompts], tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            roles = " and ".join(dict.fromkeys(message["role"] for message in prompts[0]))
            raise SourceError(
                f"--tokenizer {self._name}: the tokenizer's chat template refuses {roles} messages: {error}; "
                "training would end on them too. Where it knows no system message, leave --system out",
                key="--tokenizer",
                reason="data",
            ) from error
        found = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return [len(tokens) <= self._most for tokens in found]


def _plain(prompt: Sequence[Message]) -> list[dict[str, Any]]:
    return [dict(message) for message in prompt]
