"""Data files in verl's schema, and the tokenizers that count their prompts."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.byte_tokenizer import build_tokenizer

# As in templates that know no system message.
REFUSES_SYSTEM = (
    "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{{ message.content }}{% endfor %}"
)


def row(question="What is 1 plus 1?", answer="2", source="arithmetic", **changes) -> dict:
    """A row with this question and answer, and other or further columns."""
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": question}],
        "reward_model": {"style": "rule", "ground_truth": answer},
    } | changes


def write(path: Path, rows: list[dict], schema: pa.Schema | None = None) -> Path:
    """A parquet file of some rows."""
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def text_of(values: Iterable[bytes]) -> pa.Array:
    """A column of text that need not be UTF-8."""
    return pa.array(values, pa.binary()).view(pa.string())


def save_tokenizer(folder: Path, template: str | None = None) -> Path:
    """The folder of a tokenizer with a token for each byte, with its own chat template or another."""
    tokenizer = build_tokenizer()
    tokenizer.chat_template = template or tokenizer.chat_template
    tokenizer.save_pretrained(folder)
    return folder
