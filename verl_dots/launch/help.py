"""What `python -m verl_dots.main --help` shows: the command, and the group `dots` from the typed config."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from itertools import groupby
from pathlib import Path

from verl_dots.config import PRESETS, DotsConfig
from verl_dots.settings import choices_of, settings_table, shown_default

WIDTH, NAME, KEY = 120, 18, 28  # characters of a line, and of its first column: a preset, a key with its default
USAGE = """\
Train a language model by reinforcement learning: verl's PPO trainer, with DOTS, replay, AdaRFT, MoPPS, E3 and DASH.

usage: python -m verl_dots.main [device=cpu|gpu] [dots.preset=NAME] [dots.KEY=VALUE ...] [verl's KEY=VALUE ...]

  python -m verl_dots.main data.train_files=train.parquet data.val_files=val.parquet \\
      actor_rollout_ref.model.path=Qwen/Qwen2.5-Math-1.5B actor_rollout_ref.actor.use_dynamic_bsz=True \\
      actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.tensor_model_parallel_size=1 dots.preset=dots_rr
  python -m verl_dots.main device=cpu data.train_files=train.parquet data.val_files=val.parquet \\
      actor_rollout_ref.model.path=models/tiny dots.preset=e3 trainer.total_training_steps=20
  python -m verl_dots.main ... dots.preset=dots_rr dots.selection.references=128 dots.replay.delta=0.25

device=cpu|gpu (default: gpu)   cpu: no GPU is needed, the engine is rollout.name=hf; gpu: vLLM or SGLang
dots.preset=NAME                the settings of a paper, under every other override:
"""
VERL = """\
verl_dots/conf/README.md says more of each setting. All else is verl's: `python -m verl_dots.main --cfg job` shows every
key with its value, `--cfg job --package data` those of one group, `--hydra-help` the options of hydra's command line.
verl's documentation explains its keys: https://verl.readthedocs.io/en/latest/examples/config.html
"""


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for what is shown here."""
    return "--help" in arguments or "-h" in arguments


def help_text() -> str:
    """The text, in lines of at most 120 characters."""
    presets = [line for name in PRESETS for line in _columns(f"  {name}", NAME, _preset(name))]
    return "\n".join([USAGE + "\n".join(presets), "", *_settings(), "", VERL])


def _settings() -> Iterator[str]:
    """The group `dots`: a line for each of its groups, then key, default and meaning of each setting."""
    yield from _columns("key = default", KEY, "meaning")
    groups = {f"dots.{field.name}": field.default_factory for field in fields(DotsConfig)}
    kinds = {name: kind for name, kind in groups.items() if is_dataclass(kind)} | {"dots": DotsConfig}
    for group, entries in groupby(settings_table(DotsConfig, "dots"), lambda entry: entry[0][0].rpartition(".")[0]):
        yield f"{group}: {(kinds[group].__doc__ or '').splitlines()[0]}"
        for keys, defaults, text in entries:
            names = [key.rpartition(".")[2] for key in keys]
            given = f"  {', '.join(names)} = {', '.join(map(shown_default, defaults))}"
            yield from _columns(given, KEY, _with_choices(first_sentence(text), choices_of(kinds[group], names[0])))


def _preset(name: str) -> str:
    """What a preset's file says of itself."""
    lines = (Path(__file__).parents[1] / "conf" / "preset" / f"{name}.yaml").read_text().splitlines()
    return first_sentence(" ".join(line[2:] for line in lines if line.startswith("# ") and not line.startswith("# @")))


def first_sentence(text: str) -> str:
    """A text up to its first full stop outside of parentheses and quotes; the config table has all of it."""
    for stop in re.finditer(r'(?<=\.) (?=[A-Z0-9"])', text):
        before = text[: stop.start()]
        depth = sum((mark in "([") - (mark in ")]") for mark in before)  # (0, 1] is closed, too
        if depth == 0 and before.count('"') % 2 == 0:
            return before
    return text


def _with_choices(text: str, choices: Sequence[str]) -> str:
    """The text, and the names that a setting takes where it does not quote all of them."""
    if all(f'"{name}"' in text for name in choices) or tuple(choices) == PRESETS:
        return text
    return f"{text} One of: {', '.join(choices)}."


def _columns(cell: str, width: int, text: str) -> Iterator[str]:
    """A cell and a text beside it, which begins in the next line where the cell is too wide."""
    first, *more = textwrap.wrap(text, WIDTH - width - 1)
    if len(cell) > width:
        yield cell
        cell = ""
    yield f"{cell:<{width}} {first}"
    yield from (f"{'':<{width}} {line}" for line in more)
