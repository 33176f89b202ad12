"""How long a prompt is in tokens, and whether a chat template's options let any prompt be tokenized."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

# messages -> tokens; raises jinja2.TemplateError for a chat that the template refuses
Length = Callable[[Sequence[Mapping[str, str]]], int]


def options_problem(tokenize: Callable[[Sequence[Mapping[str, str]]], Any]) -> str:
    """Why no chat can be tokenized with the options of a chat template that `tokenize` has, or ""."""
    try:
        tokenize([{"role": "user", "content": "?"}])
    except TemplateError:
        pass  # it may take no such chat; each prompt's own is told of
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        return str(error).rstrip(".") or repr(error)
    return ""
