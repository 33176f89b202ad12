"""The data sets of a run, checked row by row before anything starts: what `python -m verl_dots.check` finds."""

import json
import logging
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from verl_dots.data.checks import check_files
from verl_dots.data.column_types import type_problems
from verl_dots.data.columns import require_free_columns
from verl_dots.data.file_lists import SUFFIXES, QuestionError, file_list, require_file
from verl_dots.data.file_report import ERRORS, REFUSED, SHARED, TOO_LONG, UNMATCHABLE, UNUSABLE, FileReport
from verl_dots.data.prompt_length import Length
from verl_dots.generation.standalone import OPTIONS, chat_tokenizer, load_tokenizer
from verl_dots.launch.cell_checks import Offer, cells_of, offers_of, require_tools_kwargs
from verl_dots.launch.loaded import SCHEMAS, TURNS, loaded, tool_schemas
from verl_dots.launch.used_rows import TRAIN, VALIDATION, require_rows, sample_of, until_enough
from verl_dots.methods.refusals import refused_as
from verl_dots.rewards import compute
from verl_dots.settings import ConfigError, require

logger = logging.getLogger(__name__)

ROLES = (TRAIN, VALIDATION)
UNSET = {TRAIN: "~/data/rlhf/gsm8k/train.parquet", VALIDATION: "~/data/rlhf/gsm8k/test.parquet"}  # verl's
LEFT_OUT = (TOO_LONG, REFUSED)  # by data.filter_overlong_prompts
SHOWN = 5  # columns of different types in a message


def check_paths(config: DictConfig, train: bool = True) -> None:
    """Refuse files that verl cannot read, by their names alone.

    Args:
        train: a file to train on and one to validate on are needed.

    Raises:
        ConfigError: no file, one that is not there, on another machine, or of another kind.
    """
    own = _own_data_set(config)
    for key in ROLES:
        with refused_as(key, "type"):
            files = file_list(OmegaConf.select(config, key))
        if train and not own and not files:
            words = f"{key} names no file, and a run needs one; data_prep/ has scripts that write data sets"
            raise ConfigError(words, key=key, reason="missing")
        if not own and files == [UNSET[key]] and not Path(UNSET[key]).expanduser().exists():
            words = f"{key} is not set, and verl's default {UNSET[key]} is not there; give {key}=FILE.parquet"
            raise ConfigError(f"{words}; data_prep/ has scripts that write data sets", key=key, reason="missing")
        for file in files:
            if not own or "://" not in file:
                with refused_as(key, "file"):
                    require_file(file, None if own else SUFFIXES)


def check_data(config: DictConfig, train: bool = True) -> None:
    """Refuse data that would stop a run at its start or in its middle, or be scored 0 without a word.

    Data of another data set class is left to it.

    Args:
        train: verl reads the files of a key as one, and they must fill a batch; else each is read alone.

    Raises:
        ConfigError: no files, files that do not go together, too few rows, or how many rows are wrong, and what is
            wrong with the first.
    """
    if _own_data_set(config):
        _require_class(config)
        return
    prompts: dict[bytes, str] = {}
    filters = bool(config.data.get("filter_overlong_prompts"))
    left_out = LEFT_OUT if filters else ()
    cells = cells_of(config) if train else {}
    counter = _counter(config)
    for key in ROLES:
        if not (files := file_list(OmegaConf.select(config, key))):
            continue
        needed = config.data.train_batch_size if key == TRAIN and train and not config.trainer.get("val_only") else 1
        tools = _tools(config, key, files) if train and counter is not None and not _is_cut(config) else []
        length = None if counter is None else counter(tools)
        command = command_of(config, files, counted=length is not None and not filters, tools=tools)
        try:
            if train:
                require_free_columns(files)
                _require_one_data_set(key, files, command)
                require_tools_kwargs(config, key, files)
            sample = sample_of(config, key, files, train)
            if filters and length is not None and key == TRAIN:
                length = until_enough(sample, needed, length, config.data.max_prompt_length)
            reports = check_files(
                files,
                prompt_key=config.data.prompt_key,
                rewards=compute if _ours(config) else None,
                length=length,
                measured=sample.places if filters else None,
                most_tokens=config.data.max_prompt_length,
                prompts=prompts,
                cells=cells,
                progress=sys.stderr.isatty(),
            )
        except QuestionError as error:
            raise ConfigError(f"{key}: {error}", key=key, reason="data") from error
        _judge(key, reports, command, [kind for kind in ERRORS if kind not in left_out])
        require_rows(config, key, sample, reports, left_out, needed)
        if key == TRAIN and _ours(config):
            _require_range(config, {source for report in reports for source in report.sources})


def _require_one_data_set(key: str, files: Sequence[str], command: str) -> None:
    if problems := type_problems(files):
        raise ConfigError(
            f"{key}: these files cannot be read as one data set, for a column has one type: "
            f"{'; '.join(problems[:SHOWN])}. `{command} --clean FOLDER` writes them with the same types",
            key=key,
            reason="data",
        )


def command_of(config: DictConfig, files: Sequence[str], counted: bool, tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """The command that finds the same in some files; `counted`: also how long their prompts are, with these tools."""
    words = ["python", "-m", "verl_dots.check", *files, "--all"]
    if config.data.prompt_key != "prompt":
        words += ["--prompt-key", config.data.prompt_key]
    if not _ours(config):
        words.append("--skip-answers")
    if counted:
        model = config.actor_rollout_ref.model
        words += ["--tokenizer", str(Path(model.get("tokenizer_path") or model.path).expanduser())]
        words += ["--max-prompt-tokens", str(config.data.max_prompt_length)]
        template = OmegaConf.to_container(config.data.get(OPTIONS) or OmegaConf.create({}))
        if model.get("custom_chat_template"):
            template["chat_template"] = model.custom_chat_template
        if tools:
            template["tools"] = list(tools)
        words += ["--template-options", json.dumps(template)] if template else []
        words += ["--trust-remote-code"] if model.get("trust_remote_code") else []
    return shlex.join(words)


def _own_data_set(config: DictConfig) -> bool:
    return bool((config.data.get("custom_cls") or {}).get("path"))


def _require_class(config: DictConfig) -> None:
    """Raise ConfigError unless the file of the data set class is there, and the class has a name."""
    path, key = config.data.custom_cls.path, "data.custom_cls.path"
    there = path.startswith("pkg://") or Path(path.removeprefix("file://")).expanduser().is_file()
    require(key, path, there, "must be a file of Python that is there, or pkg://MODULE", "file")
    name = config.data.custom_cls.get("name")
    require("data.custom_cls.name", "null", bool(name), f"must be the name of a class in {path}", "missing")
    # It imports verl: not before the environment is set.
    from verl.utils.dataset.rl_dataset import get_dataset_class

    loaded(key, path, lambda: get_dataset_class(config.data))


def _ours(config: DictConfig) -> bool:
    return config.reward.custom_reward_function.path == compute.PATH


def _require_range(config: DictConfig, sources: set[str]) -> None:
    """Refuse a range of rewards in which right or wrong answers to the questions would not be."""
    low, high = config.dots.reward_range
    known = ", ".join(sorted(filter(compute.is_right_or_wrong, sources)))
    must = f"questions of {known} have the rewards 0 and 1, and the range must hold both: set it to [0,1]"
    require("dots.reward_range", [low, high], not known or low <= 0 < 1 <= high, must, "range")


def _judge(key: str, reports: Sequence[FileReport], command: str, errors: Sequence[str]) -> None:
    """Refuse rows that cannot be used, and tell of answers that no response may match and of questions seen before."""
    for report in reports:
        if unusable := report.messages.get(UNUSABLE):
            text, row = next(iter(unusable.items()))
            words = f"{report.count([UNUSABLE])} of {report.rows} rows of {report.path} cannot be used in this run"
            raise ConfigError(f"{key}: {words} (counted from 0): row {row}: {text}", key=key, reason="data")
        if wrong := report.count(errors):
            found = [f"row {row}: {text}" for kind in errors for text, row in report.messages.get(kind, {}).items()]
            raise ConfigError(
                f"{key}: {wrong} of {report.rows} rows of {report.path} cannot be used (counted from 0): "
                f"{'; '.join(found[:3])}. `{command}` names them all",
                key=key,
                reason="data",
            )
        if unmatchable := report.count(UNMATCHABLE):
            kinds = ", ".join(f"{len(report.problems[kind])} {kind}" for kind in UNMATCHABLE if kind in report.problems)
            logger.warning(
                "%s: right responses to %d of %d questions of %s may get no reward (%s); `%s` names them, and with "
                "--clean FOLDER it writes the file without them",
                key, unmatchable, report.rows, report.path, kinds, command,
            )  # fmt: skip
        if shared := report.problems.get(SHARED):
            logger.warning(
                "%s: %d of %d questions of %s are in %s too, the first is row %d; their rewards say nothing about new "
                "questions", key, len(shared), report.rows, report.path, TRAIN, shared[0],
            )  # fmt: skip


def _tools(config: DictConfig, key: str, files: Sequence[str]) -> list[dict[str, Any]]:
    """Schemas that verl counts with each prompt, where it filters, or else puts before those of its loop of tools.

    Of rows that offer different tools none is counted, so that no prompt is taken for longer than it is.
    """
    if config.data.get("filter_overlong_prompts"):
        return tool_schemas(config, "data")
    turns = OmegaConf.select(config, TURNS)
    if not any(turns.get(name) for name in SCHEMAS):
        return []
    with refused_as(key, "data"):
        offers = offers_of(config, files)
    if offers == {Offer.ALL}:
        return tool_schemas(config, TURNS)
    if offers - {Offer.NONE}:
        logger.warning("%s: rows offer different tools, so prompts are counted without the schemas of these", key)
    return []


def _counter(config: DictConfig) -> Callable[[Sequence[Mapping[str, Any]]], Length | None] | None:
    """Makes of schemas of tools what counts the tokens of a prompt; None where nothing needs to be counted or tried.

    What it makes is None where a prompt that is too long would not stop the run, nor be left out.
    """
    if not _reads_text_alone(config) or (_is_cut(config) and not config.data.get(OPTIONS)):
        return None
    tokenizer = load_tokenizer(config)

    def length_with(tools: Sequence[Mapping[str, Any]]) -> Length | None:
        tokenize = chat_tokenizer(tokenizer, config, tools)  # which tries the options
        return None if _is_cut(config) else lambda messages: len(tokenize(messages))

    return length_with


def _is_cut(config: DictConfig) -> bool:
    """Whether verl shortens a prompt that is too long."""
    return not config.data.get("filter_overlong_prompts") and config.data.get("truncation", "error") != "error"


def _reads_text_alone(config: DictConfig) -> bool:
    path = Path(config.actor_rollout_ref.model.path).expanduser()
    return (path / "config.json").is_file() and not (path / "preprocessor_config.json").is_file()
