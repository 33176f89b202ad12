"""Inputs that no run starts with, and what is said of each: `python -m scripts.bad_inputs [--write]`.

The table is verl_dots/launch/refusals.tsv. Its first two columns are given, the others made: add a line of the two, and
--write fills in what the checks before Ray say. Without --write: exit 1 if they say something else now.

where      what is changed in a run that starts
settings   overrides, as on the command line
row N      a cell of that training question, as PATH=JSON
all rows   the same cell of all of them
no column  a column of the training data is left out
"""

import contextlib
import csv
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scripts.sections import asked_to_write, settle
from verl_dots.launch.compose import compose, refused_override, require_new_keys
from verl_dots.processes.environment import prepare_environment
from verl_dots.settings import ConfigError

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "verl_dots/launch/refusals.tsv"
COLUMNS = ("where", "input", "key", "reason", "message")
FORM = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None, "lineterminator": "\n"}
QUESTIONS = 24
# A run that starts, of the files that `places` makes.
RUN = (
    "data.train_files=train.parquet",
    "data.val_files=val.parquet",
    "data.train_batch_size=8",
    "data.max_prompt_length=48",
    "data.max_response_length=32",
    "actor_rollout_ref.model.path=model",
    "actor_rollout_ref.actor.ppo_mini_batch_size=4",
    "actor_rollout_ref.rollout.n=4",
    "dots.difficulty.cache=cache",
)


@cache
def parsed(override: str) -> Override:
    """An override as hydra reads it, which takes it 10 ms."""
    return OverridesParser.create().parse_override(override)


def changed(config: DictConfig, overrides: Iterable[str]) -> DictConfig:
    """A copy of a composed config with some overrides."""
    config = config.copy()
    for override in map(parsed, overrides):
        OmegaConf.update(config, override.key_or_group, override.value(), force_add=override.is_add())
    return config


def question_row(question: str, answer: object = "1", **more: object) -> dict:
    """A row of a data set of verl."""
    prompt, truth = [{"role": "user", "content": question}], {"style": "rule", "ground_truth": answer}
    return {"data_source": "arithmetic", "prompt": prompt, "reward_model": truth} | more


def questions() -> list[dict]:
    """Training questions that a run can use."""
    extra = {"index": 0, "level": 7}
    return [question_row(f"What is {i} plus 1?", str(i + 1), extra_info=extra) for i in range(QUESTIONS)]


def write_rows(path: Path, rows: list[dict]) -> Path:
    """A parquet file of some rows."""
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def with_cell(row: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of a row with another value at a path such as `prompt[0].content`."""
    changed_row = json.loads(json.dumps(row))
    *above, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
    place = changed_row
    for part in above:
        place = place[part]
    place[last] = value
    return changed_row


@contextlib.contextmanager
def places() -> Iterator[DictConfig]:
    """The config of a run that starts, in a folder of its own with data and the tiny model."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        model = ROOT / "recipes/cpu/tiny_model"
        Path("model").symlink_to(model)
        _spoilt("model_cut", "model.safetensors", (model / "model.safetensors").read_bytes()[:-1])
        _spoilt("model_other", "config.json", (model / "config.json").read_bytes().replace(b'"qwen2"', b'"qwen99"'))
        _spoilt("model_mute", "tokenizer.json", None)
        _spoilt("model_empty", "model.safetensors", None)
        write_rows(Path("train.parquet"), questions())
        write_rows(Path("val.parquet"), [question_row("What is 1 minus 1?", "0")])
        Path("notes.csv").write_text("prompt\n")
        Path("reward.py").write_text("def f(answer):\n    return 1.0\n")
        schema = ', tool_schema: {type: function, function: {name: add, description: "Adds two numbers."}}'
        for name, more in (("tools.yaml", schema), ("tools_mute.yaml", "")):
            tool = f"{{class_name: verl.tools.base_tool.BaseTool, config: {{type: native}}{more}}}"
            Path(name).write_text(f"tools: [{tool}]\n")
        yield compose(["device=cpu", *RUN])


def _spoilt(folder: str, name: str, content: bytes | None) -> None:
    """The tiny model with another content of one file, or without it."""
    Path(folder).mkdir()
    for file in (ROOT / "recipes/cpu/tiny_model").iterdir():
        if file.name != name:
            (Path(folder) / file.name).symlink_to(file)
    if content is not None:
        (Path(folder) / name).write_bytes(content)


def refusal(config: DictConfig, where: str, given: str) -> ConfigError | None:
    """What the checks before Ray say of a run with this input; None where they let it pass."""
    from verl_dots.launch.start import validate  # it imports verl: not before the environment is set

    try:
        if where == "settings":
            with_them = changed(config, given.split())
            require_new_keys(given.split(), with_them)
            validate(with_them)
            return None
        write_rows(Path("changed.parquet"), _changed_rows(where, given))
        validate(changed(config, ["data.train_files=changed.parquet"]))
    except ConfigError as error:
        return error
    except OmegaConfBaseException as error:  # a key that is not there, which hydra would tell after a second
        return refused_override(_from(error), config)
    return None


def _from(error: Exception) -> HydraException:
    found = HydraException(str(error))
    found.__cause__ = error
    return found


def _changed_rows(where: str, given: str) -> list[dict]:
    rows = questions()
    if where == "no column":
        return [{name: value for name, value in row.items() if name != given} for row in rows]
    path, _, text = given.partition("=")
    value = json.loads(text)
    numbers = range(len(rows)) if where == "all rows" else [int(where.removeprefix("row "))]
    for number in numbers:
        rows[number] = with_cell(rows[number], path, value)
    return rows


def read() -> list[dict[str, str]]:
    """The lines of the table."""
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file, restval="", **FORM))


def filled(lines: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Lines with what is said of their inputs now.

    Raises:
        ValueError: an input that is not refused.
    """
    found = []
    with places() as config:
        for line in lines:
            error = refusal(config, line["where"], line["input"])
            if error is None:
                raise ValueError(f"not refused: {line['where']}: {line['input']}")
            said = {"key": error.key, "reason": error.reason, "message": " ".join(str(error).split())}
            found.append({"where": line["where"], "input": line["input"], **said})
    return found


def table(lines: Iterable[Mapping[str, str]]) -> str:
    """Lines as the text of the file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, **FORM)
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the table."""
    write = asked_to_write(__doc__, arguments)
    prepare_environment(cpu=True)
    return settle(TABLE, table(filled(read())), write)


if __name__ == "__main__":
    sys.exit(main())
