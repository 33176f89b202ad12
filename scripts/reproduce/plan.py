"""The runs of a matrix, in order: what each is called, its folder, its command, and how far it is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scripts.reproduce.matrix import BASELINE, Combination, Matrix, Method
from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN
from verl_dots.files import parse_json, write_atomically

RUN_FILE, COMMAND_FILE = "run.json", "command.json"
CHECKPOINTS, EVALUATION = "global_step_*", "evaluation/evaluation.json"  # which is in the folder of a checkpoint
TIMED = "time"  # folder of a combination's timing runs


@dataclass(frozen=True, eq=False)
class Planned:
    """A run to be made.

    Attributes:
        combination, method, seed, kind: as `evidence.records.RUN_KEY` has them.
        folder: of the run, from the root of the checkout.
        command: its words.
        variables: of its environment, beside RUN, which is the folder.
        evaluation: words of what evaluates its checkpoint once it is finished; none where it is not evaluated.
    """

    combination: str
    method: str
    seed: int
    kind: str
    folder: Path
    command: tuple[str, ...]
    variables: Mapping[str, str]
    evaluation: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.combination}, {self.method}, seed {self.seed}"

    @property
    def shown(self) -> str:
        """The command line for a shell."""
        variables = {**self.variables, "RUN": str(self.folder)}
        words = [*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), shlex.join(self.command)]
        return " ".join([*words, *(["&&", shlex.join(self.evaluation)] if self.evaluation else [])])

    @property
    def recorded(self) -> dict[str, object]:
        """What decides the run's figures, as its folder keeps it."""
        return {"command": list(self.command), "variables": dict(self.variables)}


def planned_runs(matrix: Matrix, kinds: Sequence[str], folder: Path) -> list[Planned]:
    """All runs in the order in which they are made, so that a campaign that is cut short can be used.

    Accuracy runs come seed by seed, GRPO of every combination first, then the next method of every combination. Timing
    runs come in rounds: a round has each method once on each combination, the methods of one combination side by side.

    Args:
        matrix: see `matrix_file.read_matrix`.
        kinds: of `records.ACCURACY_RUN` and `TIMING_RUN`, in order.
        folder: of the runs: COMBINATION/METHOD-seedSEED below it, of timing runs COMBINATION/time/METHOD-seedSEED.
    """
    runs = []
    methods = sorted(matrix.methods.values(), key=lambda method: method.name != BASELINE)
    for kind in kinds:
        if kind == ACCURACY_RUN:
            triples = [(c, m, s) for s in matrix.seeds for m in methods for c in matrix.combinations.values()]
        else:
            # Another method is first each time: none always follows the start, or the same one.
            places = list(enumerate(matrix.combinations.values()))
            rounds = matrix.time.numbers
            triples = [(c, m, s) for s in rounds for place, c in places for m in _turned(methods, place + s - 1)]
        runs += [_planned(matrix, kind, c, m, seed, folder) for c, m, seed in triples if m.runs_on(c.name)]
    return runs


def _turned(methods: Sequence[Method], by: int) -> list[Method]:
    by %= len(methods)
    return [*methods[by:], *methods[:by]]


def _planned(matrix: Matrix, kind: str, combination: Combination, method: Method, seed: int, folder: Path) -> Planned:
    timing = kind == TIMING_RUN
    steps = matrix.time.steps if timing else combination.steps
    overrides = [
        f"trainer.experiment_name={method.name}",
        f"actor_rollout_ref.actor.optim.lr={combination.learning_rate}",
        f"data.train_batch_size={combination.batch}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={combination.batch}",
    ]
    if timing:
        overrides += ["trainer.test_freq=-1", "trainer.val_before_train=False", "trainer.save_freq=-1"]
    else:
        overrides += [f"trainer.test_freq={combination.test_freq}", f"trainer.save_freq={combination.save_freq}"]
    overrides += [*method.overrides, *combination.overrides, *combination.of_method.get(method.name, ())]
    overrides += method.timed if timing else ()
    variables = {"DATA": combination.data, "MODEL": combination.model, "SEED": str(seed), "STEPS": str(steps)}
    place = folder / combination.name / (TIMED if timing else "") / f"{method.name}-seed{seed}"
    command = ("bash", f"recipes/cpu/{method.recipe}.sh", *overrides)
    evaluation = () if timing else _evaluation(matrix, combination, method, place)
    return Planned(combination.name, method.name, seed, kind, place, command, variables, evaluation)


def _evaluation(matrix: Matrix, combination: Combination, method: Method, place: Path) -> tuple[str, ...]:
    asked = matrix.evaluate
    if asked is None or combination.apart or method.name not in asked.methods:
        return ()
    words = ("python", "-m", "verl_dots.evaluate", str(place), "--data", f"{combination.data}/val.parquet")
    of_combination = [override for override in combination.overrides if override.startswith("data.")]
    return (*words, "--rollouts", str(asked.rollouts), "device=cpu", *asked.overrides, *of_combination)


def finished(folder: Path) -> bool:
    """Whether the run in a folder has come to its end, as its run.json says."""
    return bool(info_of(folder).get("finished"))


def to_evaluate(run: Planned, folder: Path) -> bool:
    """Whether a finished run has yet to be evaluated, and has a checkpoint."""
    if not run.evaluation or not finished(folder) or list(folder.glob(f"{CHECKPOINTS}/{EVALUATION}")):
        return False
    return any((checkpoint / "actor").is_dir() for checkpoint in folder.glob(CHECKPOINTS))


def of_other_settings(run: Planned, folder: Path) -> str | None:
    """In what the run in a folder differs from this one; None where it does not, or where the folder does not tell.

    A finished run would else count for settings that the matrix no longer has.
    """
    try:
        there = parse_json((folder / COMMAND_FILE).read_text())
        before = [*there["command"], *(f"{name}={value}" for name, value in there["variables"].items())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    now = [*run.command, *(f"{name}={value}" for name, value in run.variables.items())]
    lost, new = [word for word in before if word not in now], [word for word in now if word not in before]
    if not lost and not new:
        return None
    return f"it was run with {' '.join(lost) or 'less'}, and the matrix has {' '.join(new) or 'less'}"


def record_command(run: Planned, folder: Path) -> None:
    """Keep in its folder what the run is made with."""
    text = json.dumps(run.recorded, indent=2) + "\n"
    write_atomically(folder / COMMAND_FILE, lambda partial: partial.write_text(text))


def seconds_taken(folder: Path) -> float | None:
    """Seconds from the command to the end of a finished run that was never interrupted.

    A run calls itself started when its processes are up, half a minute after its command was kept.
    """
    info, command = info_of(folder), folder / COMMAND_FILE
    if not info.get("finished") or info.get("resumed_step"):
        return None
    began, ended = (datetime.fromisoformat(info[name]).timestamp() for name in ("started", "finished"))
    # A copied folder may have a younger command.
    return ended - min(began, command.stat().st_mtime if command.exists() else began)


def seconds_left(left: Sequence[Planned], done: Sequence[tuple[Planned, float]], jobs: int) -> float | None:
    """An estimate from finished runs: the mean of those most alike, by kind, combination and method.

    Args:
        left: runs that have not ended.
        done: finished runs and their seconds.
        jobs: runs at once; timing runs are made one at a time.

    Returns:
        None where there is nothing to go by.
    """
    total = 0.0
    for run in left:
        alike = (
            [(run.kind, run.combination, run.method), lambda r: (r.kind, r.combination, r.method)],
            [(run.kind, run.combination), lambda r: (r.kind, r.combination)],
            [run.kind, lambda r: r.kind],
            [None, lambda r: None],
        )
        found: list[float] = []
        for key, key_of in alike:
            found = [seconds for other, seconds in done if key_of(other) == key]
            if found:
                break
        if not found:
            return None
        total += sum(found) / len(found) / (jobs if run.kind == ACCURACY_RUN else 1)
    return total


def info_of(folder: Path) -> dict:
    """What a run's run.json tells; nothing where there is none, or a damaged one."""
    try:
        info = parse_json((folder / RUN_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}
