"""Scripts run on raw rows: what they write, or with what message they end."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq


def problems(count: int, start: int = 0) -> list[dict]:
    """Raw rows of `data_prep.deepscaler`: "What is 0 + 1?" and so on."""
    return [{"problem": f"What is {i} + 1?", "answer": str(i + 1)} for i in range(start, start + count)]


def raw_file(path: Path, rows: Sequence[Any]) -> Path:
    """A file with a line of JSON for each row."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepared(script: ModuleType, folder: Path, rows: Sequence[Any], *arguments: object, name: str = "out") -> Path:
    """The file that a script writes for these raw rows."""
    source, out = raw_file(folder / "raw.jsonl", rows), folder / f"{name}.parquet"
    script.main([str(argument) for argument in ("--source", source, "--out", out, *arguments)])
    return out


def rows_of(path: Path) -> list[dict]:
    """All rows of a file."""
    return pq.read_table(path).to_pylist()


def infos_of(path: Path, field: str | None = None) -> list:
    """Their extra_info, or one field of it."""
    infos = [row["extra_info"] for row in rows_of(path)]
    return infos if field is None else [info[field] for info in infos]


def refusal(capsys, main: Callable[[list[str]], int | None], *arguments: object) -> str:
    """What a command writes to standard error before it ends with status 2."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    assert status == 2
    return capsys.readouterr().err
