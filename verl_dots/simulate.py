"""Simulate selection, budgets, temperature and replay before GPU hours are spent on them.

    python -m verl_dots.simulate --difficulties LABELS.parquet --policy dots_rr \\
        --grid dots.selection.references=64,256 --grid dots.replay.delta=0.25,0.5,1 \\
        --steps 200 --seeds 3 --out simulation data.train_batch_size=512

A policy is a preset; KEY=VALUE are overrides of a run's settings, refused as a run refuses them. Every setting is
compared with uniform sampling. --runs fits how a policy learns to runs of dots.preset=grpo, and how good predictions
are to runs with dots.selection. Written: `simulation.csv`, `curves.png`, and along an axis of numbers `sweep.png`.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from verl_dots.files import try_outputs, write_atomically
from verl_dots.reporting import drawing
from verl_dots.settings import ConfigError, Refusal, require
from verl_dots.simulation import figures, results
from verl_dots.simulation.difficulties import read_difficulties
from verl_dots.simulation.fit import Fit, fit, fit_entropy, fit_quality
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.prediction import Predictor, Quality
from verl_dots.simulation.response import Entropy, Learning, Policy
from verl_dots.simulation.results import Result
from verl_dots.simulation.run import Setting, World, simulate
from verl_dots.simulation.run_logs import RunLog, read_run_log
from verl_dots.simulation.settings import BATCH, DEFAULTS, ROLLOUTS, TEMPERATURE, parse_grid, settings_of, uniform
from verl_dots.terminal import errors, output, sentence

CSV_FILE, CURVES_FILE, SWEEP_FILE = "simulation.csv", "curves.png", "sweep.png"
UNMEASURED = 10_000  # questions of a pool of which only runs are known


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when the files are written, 2 for bad input."""
    options = _parse(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.ERROR)
    console = output()
    try:
        try_outputs(options.out, (CSV_FILE, CURVES_FILE, SWEEP_FILE), results.is_csv)
        _check(options)
        grid = parse_grid(options.grid)
        logs = [read_run_log(path) for path in options.runs]
        world, defaults = _world(options, logs, console)
        settings = settings_of(options.policy, options.overrides, grid, defaults, world.size)
        if any(setting.dots.selection.enable for setting in settings):
            _try_quality(world, settings)
        real = [read_run_log(path) for path in options.measured]
        found = _simulate_all(world, settings, options)
    except (Refusal, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    compared = results.measured(real, found[0], options.target)
    _write(options.out, found, compared)
    console.print(results.table([*found, *compared]))
    console.print(f"\nMean and 95 % interval over {options.seeds} seeds. {options.out / CSV_FILE} has all figures.")
    if not results.all_come([*found, *compared]):
        console.print(results.NOT_ALL)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Numbers of the command line itself."""
    for name, value in (("--steps", options.steps), ("--seeds", options.seeds), ("--tries", options.tries)):
        require(name, value, value >= 1, "must be 1 or more")
    require("--questions", options.questions, options.questions is None or options.questions >= 2, "must be 2 or more")
    easiest, hardest = options.difficulty_range
    require("--difficulty-range", [easiest, hardest], easiest != hardest, "must be two different numbers")
    for target in options.target:
        require("--target", target, 0 < target < 1, "must be a share above 0 and below 1")
    if not options.difficulties and not options.runs:
        text = "there is no pool: give --difficulties FILE, --runs RUN, or both"
        raise ConfigError(text, key="--difficulties", reason="missing")
    if options.only and not options.difficulties:
        raise ConfigError("--only needs --difficulties LABELS", key="--only", reason="missing")


def _world(options: argparse.Namespace, logs: Sequence[RunLog], console: Console) -> tuple[World, dict[str, float]]:
    """What is simulated, fitted to runs where some are given; and the defaults of the batches."""
    learning = Learning(options.rate, options.ceiling, options.local, options.width, options.replayed)
    quality = Quality(options.rho, options.rho_references, options.features)
    entropy, validation, measured, defaults = Entropy(), None, None, DEFAULTS
    if options.difficulties:
        measured = read_difficulties(options.difficulties, options.tries, options.difficulty_range, options.only)
    learners = [log for log in logs if log.uniform or np.isnan(log.rho)]  # of the latter `fit` says what they lack
    if learners or measured is None:
        if not learners:
            text = "--runs names no run of dots.preset=grpo, which the pool is fitted to without --difficulties"
            raise ConfigError(text, key="--runs", reason="missing")
        fitted = fit(learners, measured, learning)
        _tell(console, fitted)
        learning, validation = fitted.learning, fitted.validation
        if measured is None:
            count = options.questions or UNMEASURED
            measured = Measured(np.full(count, 0.5), np.zeros(count), fitted.prior)
        entropy = fit_entropy(learners, learning, measured, entropy)
    if logs:
        first = logs[0]
        defaults = {BATCH: first.batch_size, ROLLOUTS: first.rollouts, TEMPERATURE: first.temperature}
        quality = fit_quality(logs, measured, quality)
    a, b = measured.prior
    console.print(
        f"{len(measured.success_P)} questions measured; success rates are Beta({a:.2f}, {b:.2f}). "
        f"Predictions: rho {quality.rho:.2f} with {quality.rho_references} references.\n"
    )
    return World(measured, learning, quality, entropy, validation, options.questions), defaults


def _tell(console: Console, fitted: Fit) -> None:
    for name, (value, error) in fitted.values.items():
        console.print(f"{name}: {value:.3g} ± {error:.2g}")
    misfit = ", ".join(f"{kind} {value:.2f}" for kind, value in fitted.misfit.items())
    console.print(f"mean squared misfit, 1 for sampling alone: {misfit}\n")


def _try_quality(world: World, settings: Sequence[Setting]) -> None:
    """Raise ConfigError for a correlation that the pool does not allow, before anything is simulated."""
    rng = np.random.default_rng(0)
    difficulty_P, _ = world.measured.difficulties(min(world.size, 4096), rng)
    Predictor(Policy(difficulty_P, world.learning, rng), world.quality, settings[0].rollouts, rng)


def _simulate_all(world: World, settings: Sequence[Setting], options: argparse.Namespace) -> list[Result]:
    """Uniform sampling first, once for all settings with the same batches; then each setting."""
    bases = {(one.batch_size, one.rollouts, one.temperature): uniform(one) for one in settings}
    if len(bases) > 1:
        bases = {key: replace(base, label=f"uniform B={key[0]} n={key[1]} T={key[2]:g}") for key, base in bases.items()}
    seeds = range(1, options.seeds + 1)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors(), transient=True) as progress:
        task = progress.add_task("", total=(len(bases) + len(settings)) * len(seeds) * options.steps)

        def run(setting: Setting) -> list:
            progress.update(task, description=setting.label)
            tell = lambda _: progress.advance(task)  # noqa: E731
            return [simulate(world, setting, options.steps, seed, tell) for seed in seeds]

        traces = {key: run(base) for key, base in bases.items()}
        found = [results.summarise(base, traces[key], traces[key], options.target) for key, base in bases.items()]
        for setting in settings:
            base = traces[setting.batch_size, setting.rollouts, setting.temperature]
            found.append(results.summarise(setting, run(setting), base, options.target))
    return found


def _write(folder: Path, found: Sequence[Result], compared: Sequence[Result]) -> None:
    write_atomically(folder / CSV_FILE, partial(results.write_csv, results=[*found, *compared]))
    write_atomically(folder / CURVES_FILE, partial(drawing.save, figures.curves(found)))
    figure = figures.sweep(found)
    if figure is not None:
        write_atomically(folder / SWEEP_FILE, partial(drawing.save, figure))
    else:
        (folder / SWEEP_FILE).unlink(missing_ok=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.simulate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("overrides", nargs="*", metavar="KEY=VALUE", help="settings of a run, for all policies")
    add("--difficulties", nargs="+", type=Path, default=[], metavar="FILE", help="labels, or data with difficulties")
    add("--only", nargs="+", type=Path, default=[], metavar="DATA", help="take the questions of these data alone")
    add("--runs", nargs="+", type=Path, default=[], metavar="RUN", help="run folders to fit to")
    add("--measured", nargs="+", type=Path, default=[], metavar="RUN", help="run folders to compare with")
    add("--policy", action="append", default=[], metavar="NAME", help="a preset (default: dots); can be repeated")
    add("--grid", action="append", default=[], metavar="KEY=V,V", help="values of a setting; several make a grid")
    add("--steps", type=int, default=60, help="of each run (default: 60)")
    add("--seeds", type=int, default=3, help="runs of each setting (default: 3)")
    add("--target", nargs="+", type=float, default=[], help="accuracies to reach (default: uniform sampling's last)")
    add("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    add("--questions", type=int, metavar="N", help="draw a pool of N questions from the measured ones")
    add("--tries", type=int, default=128, help="behind a success rate whose file does not say (default: 128)")
    add(
        "--difficulty-range",
        nargs=2,
        type=float,
        default=(0.0, 100.0),
        metavar=("EASY", "HARD"),
        help="of rate 1 and 0 (default: 0 100)",
    )
    add("--rate", type=float, default=Learning.rate, help="of learning (default: %(default)s); runs are fitted")
    add("--ceiling", type=float, default=Learning.ceiling, help="of the ability, logits (default: %(default)s)")
    add("--local", type=float, default=Learning.local, help="share learnt for like difficulties (default: %(default)s)")
    add("--width", type=float, default=Learning.width, help="of that, logits (default: %(default)s)")
    add("--replayed", type=float, default=Learning.replayed, help="what replay teaches (default: %(default)s)")
    add("--rho", type=float, default=Quality.rho, help="of predicted and true difficulty (default: %(default)s)")
    add("--rho-references", type=int, default=Quality.rho_references, help="K of that (default: %(default)s)")
    add("--features", type=int, default=Quality.features, help="kinds to tell apart (default: %(default)s)")
    options = parser.parse_intermixed_args(arguments)
    options.policy = options.policy or ["dots"]
    return options


if __name__ == "__main__":
    raise SystemExit(main())
