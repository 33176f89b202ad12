"""How often a model answers each question right, as labels for the difficulty predictor.

    python -m verl_dots.difficulty.collect train.parquet --model models/base --out labels.parquet --rollouts 8 \\
        actor_rollout_ref.rollout.name=vllm actor_rollout_ref.rollout.tensor_model_parallel_size=2 \\
        trainer.n_gpus_per_node=8 data.max_response_length=4096
    python -m verl_dots.difficulty.collect train.parquet --model models/tiny --out labels.parquet --device cpu
    python -m verl_dots.difficulty.collect train.parquet --from-rollouts runs/a/rollouts --out labels.parquet

Everything of the form KEY=VALUE is an override of the training config, with the same defaults as a training run:
temperature and top-p too, actor_rollout_ref.rollout.temperature=1.0 and top_p=1.0 (the DOTS paper rolls out with
temperature=0.6 and top_p=0.95). What stops resumes when the same command is repeated.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from verl_dots.data.file_lists import QuestionError
from verl_dots.files import OutputError, try_output
from verl_dots.generation.generation import GenerationError
from verl_dots.generation.scoring import RewardError
from verl_dots.labelling.from_logs import label_from_logs
from verl_dots.labelling.from_model import ROLLOUTS, label_with_model
from verl_dots.labelling.success_rates import RewardOutOfRange, RewardRange
from verl_dots.launch.generation_config import files_and_overrides
from verl_dots.settings import ConfigError
from verl_dots.terminal import errors, output

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; `data` holds the files, `overrides` what is KEY=VALUE."""
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.difficulty.collect",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="*", metavar="DATA.parquet | KEY=VALUE", help="verl-schema files; overrides")
    parser.add_argument("--model", help="folder or hub id of the model")
    parser.add_argument("--out", type=Path, required=True, help="label file to write (parquet)")
    parser.add_argument(
        "--labeller",
        metavar="NAME",
        help="who answers: the column of that name (default: MODEL, or folder and steps)",
    )
    parser.add_argument("--rollouts", type=int, help=f"responses to each question (default: {ROLLOUTS})")
    parser.add_argument("--device", choices=("cpu", "gpu"), help="cpu: the hf engine, no GPU needed (default: gpu)")
    parser.add_argument("--questions", type=int, help="ask this many questions, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, help="of the draw and the responses (default: dots.seed of the config, 1)")
    parser.add_argument(
        "--reward-range", type=float, nargs=2, default=(0.0, 1.0), metavar=("LOW", "HIGH"),
        help="rewards of failure and of success, for a reward function outside of 0 to 1 (default: 0 1)",
    )  # fmt: skip
    parser.add_argument("--from-rollouts", type=Path, metavar="FOLDER", help="count what a run kept there instead")
    parser.add_argument("--from-run", type=Path, metavar="RUN_FOLDER", help="the same, its folder and data by the run")
    parser.add_argument("--last-steps", type=int, metavar="N", help="with --from-*: only the newest N steps")
    options = parser.parse_intermixed_args(arguments)
    options.data, options.overrides = files_and_overrides(options.data)
    return options


def require_options(options: argparse.Namespace) -> None:
    """Refuse numbers that cannot work, and a place for the labels that cannot be written.

    Raises:
        ConfigError: the option, its value and what it must be.
    """
    for option, value, least in (
        ("--rollouts", options.rollouts, 1),
        ("--questions", options.questions, 1),
        ("--seed", options.seed, 0),
        ("--last-steps", options.last_steps, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(f"{option} {value}: must be at least {least}", key=option, reason="range")
    if not options.out.exists():  # what is complete is only read
        try:
            try_output(options.out, options.data)
        except OutputError as error:
            raise ConfigError(str(error), key=error.key, reason=error.reason) from error
    elif options.out.is_dir():
        raise ConfigError(f"--out {options.out} is a folder; name a file in it", key="--out", reason="file")


def show(path: Path, counts: dict[str, int], console: Console) -> None:
    """Print what the label file says."""
    rate_P = np.asarray(pq.read_table(path, columns=["success_rate"])["success_rate"])
    table = Table("labels", str(path), show_header=True)
    for name, count in counts.items():
        table.add_row(name, str(count))
    for name, share in (
        ("mean success rate", rate_P.mean()),
        ("never solved", (rate_P == 0).mean()),
        ("always solved", (rate_P == 1).mean()),
        ("in between", ((rate_P > 0) & (rate_P < 1)).mean()),
    ):
        table.add_row(name, f"{100 * share:.1f} %")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 (failed on the way, repeat to continue) or 2 (bad input)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    options = parse(arguments)
    logs = options.from_run is not None or options.from_rollouts is not None
    try:
        options.reward_range = RewardRange(*options.reward_range)
        if options.last_steps is not None and not logs:
            text = "--last-steps belongs to --from-rollouts and --from-run; leave it out"
            raise ConfigError(text, key="--last-steps", reason="excluded")
        require_options(options)
        counts = label_from_logs(options) if logs else label_with_model(options)
    except (ConfigError, QuestionError) as error:
        errors().print(f"collect: {error}")
        return BAD_INPUT
    except (RewardOutOfRange, GenerationError, RewardError) as error:
        errors().print(f"collect: {error}")
        return FAILED
    except KeyboardInterrupt:
        errors().print("collect: interrupted; the same command continues where it was")
        return INTERRUPTED
    show(options.out, counts, output())
    return 0
