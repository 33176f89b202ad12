"""Data files in verl's schema, and the tokenizers that count their prompts."""

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.byte_tokenizer import build_tokenizer

BITS = {"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "BF16": 16}  # types that numpy does not know
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


def tensor_of(name: str, dtype: str, count: int, metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of one tensor of zeros, in any type that the format has."""
    length = count * BITS[dtype] // 8
    tensor = {"dtype": dtype, "shape": [count], "data_offsets": [0, length]}
    header = json.dumps({name: tensor} | ({"__metadata__": metadata} if metadata else {})).encode()
    return struct.pack("<Q", len(header)) + header + bytes(length)


def text_of(values: Iterable[bytes]) -> pa.Array:
    """A column of text that need not be UTF-8."""
    return pa.array(values, pa.binary()).view(pa.string())


def save_tokenizer(folder: Path, template: str | None = None) -> Path:
    """The folder of a tokenizer with a token for each byte, with its own chat template or another."""
    tokenizer = build_tokenizer()
    tokenizer.chat_template = template or tokenizer.chat_template
    tokenizer.save_pretrained(folder)
    return folder
