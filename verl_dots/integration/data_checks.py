"""The data sets of a run, checked row by row before anything starts: what `python -m verl_dots.check` finds."""

import json
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from verl_dots.data_check import ERRORS, UNREADABLE_ANSWER, FileReport, Length, check_files
from verl_dots.integration.scoring import OURS
from verl_dots.integration.standalone import load_tokenizer, tokenize
from verl_dots.questions import QuestionError
from verl_dots.rewards import compute
from verl_dots.settings import ConfigError

logger = logging.getLogger(__name__)

ROLES = ("data.train_files", "data.val_files")


def files_of(config: DictConfig, key: str) -> list[str]:
    """Local parquet files under a key of the config."""
    files = OmegaConf.select(config, key)
    files = [files] if isinstance(files, str) else list(files or [])
    return [file for file in files if "://" not in file and file.endswith(".parquet")]


def check_data(config: DictConfig) -> None:
    """Refuse rows that would stop a run in its middle, or be scored 0 without a word.

    Data of verl's other kinds (another data set class, remote files, json) are left to verl.

    Raises:
        ConfigError: how many rows, and what is wrong with the first.
    """
    if config.data.get("custom_cls", {}).get("path"):
        return
    for key in ROLES:
        if not (files := files_of(config, key)):
            continue
        length = _length(config)
        try:
            reports = check_files(
                files,
                prompt_key=config.data.prompt_key,
                rewards=compute if _ours(config) else None,
                length=length,
                most_tokens=config.data.max_prompt_length,
                progress=sys.stderr.isatty(),
            )
        except QuestionError as error:
            raise ConfigError(f"{key}: {error}") from error
        _judge(key, reports, command_of(config, files, counted=length is not None))


def command_of(config: DictConfig, files: Sequence[str], counted: bool) -> str:
    """The command that finds the same in some files; `counted`: also how long their prompts are."""
    words = ["python", "-m", "verl_dots.check", *files, "--all"]
    if config.data.prompt_key != "prompt":
        words += ["--prompt-key", config.data.prompt_key]
    if not _ours(config):
        words.append("--skip-answers")
    if counted:
        model = config.actor_rollout_ref.model
        words += ["--tokenizer", str(Path(model.get("tokenizer_path") or model.path).expanduser())]
        words += ["--max-prompt-tokens", str(config.data.max_prompt_length)]
        template = OmegaConf.to_container(config.data.get("apply_chat_template_kwargs") or OmegaConf.create({}))
        if model.get("custom_chat_template"):
            template["chat_template"] = model.custom_chat_template
        words += ["--template-options", json.dumps(template)] if template else []
        words += ["--trust-remote-code"] if model.get("trust_remote_code") else []
    return shlex.join(words)


def _ours(config: DictConfig) -> bool:
    return config.reward.custom_reward_function.path == OURS


def _judge(key: str, reports: Sequence[FileReport], command: str) -> None:
    for report in reports:
        if wrong := report.count(ERRORS):
            found = [f"row {row}: {text}" for kind in ERRORS for text, row in report.messages.get(kind, {}).items()]
            raise ConfigError(
                f"{key}: {wrong} of {report.rows} rows of {report.path} cannot be used (counted from 0): "
                f"{'; '.join(found[:3])}. `{command}` names them all"
            )
        if unreadable := report.problems.get(UNREADABLE_ANSWER):
            logger.warning(
                "%s: %d answers of %s can only be matched as text, for the reward cannot read them; `%s` names them",
                key, len(unreadable), report.path, command,
            )  # fmt: skip


def _length(config: DictConfig) -> Length | None:
    """Counts the tokens of a prompt where one too long would stop the run; else nothing needs to be counted."""
    data, path = config.data, Path(config.actor_rollout_ref.model.path).expanduser()
    leaves_out = data.get("filter_overlong_prompts") or data.get("truncation", "error") != "error"
    if leaves_out or not (path / "config.json").is_file() or (path / "preprocessor_config.json").is_file():
        return None
    try:
        tokenizer = load_tokenizer(config)
    except (OSError, ValueError) as error:
        raise ConfigError(f"actor_rollout_ref.model.path: {path} has no tokenizer that loads: {error}") from error
    return lambda messages: len(tokenize(tokenizer, messages, config))
