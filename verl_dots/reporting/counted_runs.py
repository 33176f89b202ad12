"""Which runs count: whole ones, each once, and the seeds of a method over the same steps.

A run that is cut short would bend its method: a mean over seeds reaches only as far as the shortest of them. Unfinished
and shorter runs are therefore left out, unless they are asked for; then all seeds of the method are cut to the steps
that they share. Nothing is left out or cut without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from verl_dots.reporting.runs import NothingRecordedError, Run, RunError, group_by_name, read_run, with_metric
from verl_dots.reporting.validation_curves import validation_curve

FLAG = "--include-unfinished"
HINT = f" Add {FLAG} to count unfinished runs as far as they are."


@dataclass(frozen=True)
class LeftOut:
    """A run that does not count, and why. `asked` tells whether the flag would make it count."""

    path: Path
    name: str
    seed: int | None
    reason: str
    asked: bool = True

    @property
    def sentence(self) -> str:
        """For a reader, with the way to count the run after all."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        flag = f" {FLAG} counts it all the same." if self.asked else ""
        return f"{self.path} ({self.name}{seed}): {self.reason}.{flag}"


@dataclass(frozen=True)
class Selection:
    """The runs that count by method, those that do not, and notes for the reader."""

    groups: dict[str, list[Run]]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def select(paths: Sequence[Path], metric: str | None = None, include_unfinished: bool = False) -> Selection:
    """Read the runs in `paths` and choose those that count.

    Args:
        metric: see `runs.with_metric`.
        include_unfinished: count unfinished and shorter runs, too.

    Raises:
        RunError: a path is no run folder, a finished run has no accuracy, or no run is left.
    """
    kept, left_out = _read(paths, metric, include_unfinished)
    groups = {}
    notes: list[str] = []
    for name, runs in group_by_name(kept).items():
        runs, found = _without_repetitions(runs)
        left_out += found
        if not include_unfinished:
            runs, found = _without_shorter(runs)
            left_out += found
        groups[name], found_notes = _cut_to_common(name, runs)
        notes += [f"{run.path} ({name}) counts all the same: {run.unfinished}." for run in runs if run.unfinished]
        notes += [*_equal_seeds(runs), *found_notes]
    if not groups:
        reasons = " ".join(f"{one.path}: {one.reason}." for one in left_out)
        hint = HINT if any(one.asked for one in left_out) else ""
        raise RunError(f"no finished run is among those given. {reasons}{hint}", reason="data")
    files = [note for runs in groups.values() for run in runs for note in run.notes]
    return Selection(groups, tuple(left_out), (*files, *notes))


def _read(paths: Sequence[Path], metric: str | None, include_unfinished: bool) -> tuple[list[Run], list[LeftOut]]:
    """The runs that are whole by their own files, and the others."""
    kept, left_out = [], []
    for path in paths:
        try:
            run = read_run(path)
        except NothingRecordedError as error:
            left_out.append(LeftOut(path, path.resolve().name, None, str(error).rstrip("."), asked=False))
            continue
        if run.unfinished and not include_unfinished:
            left_out.append(LeftOut(path, run.name, run.seed, run.unfinished))
            continue
        try:
            kept.append(with_metric(run, metric))
        except NothingRecordedError:
            if not run.unfinished:
                raise
            reason = f"{run.unfinished}, and without {f'any {metric}' if metric else 'a validation'} yet"
            left_out.append(LeftOut(path, run.name, run.seed, reason, asked=False))
    return kept, left_out


def _without_repetitions(runs: list[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Drop runs that tell the same as another of the same seed: the longer one counts, the earlier of equals."""
    kept: list[Run] = []
    left_out = []
    for run in sorted(runs, key=lambda run: -run.last_step):
        twin = next((other for other in kept if other.seed == run.seed and _tells_the_same(run, other)), None)
        if twin is None:
            kept.append(run)
        else:
            reason = f"it repeats {twin.path}: the same seed and the same accuracies"
            left_out.append(LeftOut(run.path, run.name, run.seed, reason, asked=False))
    return [run for run in runs if any(run is other for other in kept)], left_out


def _tells_the_same(run: Run, other: Run) -> bool:
    """Whether all validations of `run` are in `other`; without a seed, whether the whole tables are equal."""
    if run.seed is None:
        return run.rows.equals(other.rows)
    if run.metric_keys != other.metric_keys:
        return False
    one, two = (validation_curve(each.rows, each.metric_keys) for each in (run, other))
    longer = dict(zip(two.step_E.tolist(), two.accuracy_E.tolist(), strict=True))
    return all(longer.get(s) == value for s, value in zip(one.step_E.tolist(), one.accuracy_E.tolist(), strict=True))


def _without_shorter(runs: list[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Drop runs that end before, begin after, or were last validated before another of their method."""
    longest = max(run.last_step for run in runs)
    begin = max(1, min(run.first_step for run in runs))  # a run may lack the validation before its first step
    validated = max(run.last_validation for run in runs)
    kept, left_out = [], []
    for run in runs:
        if run.last_step < longest:
            reason = f"it ends at step {run.last_step}, another run of {run.name} at step {longest}"
        elif run.first_step > begin:
            reason = f"its rows begin at step {run.first_step}, those of another run of {run.name} at step {begin}"
        elif run.last_validation < validated:
            reason = f"it was last validated at step {run.last_validation}, another run of {run.name} at {validated}"
        else:
            kept.append(run)
            continue
        left_out.append(LeftOut(run.path, run.name, run.seed, reason))
    return kept, left_out


def _cut_to_common(name: str, runs: list[Run]) -> tuple[list[Run], list[str]]:
    """Cut runs of different length to the last step at which all of them were validated."""
    if len({(run.last_step, run.last_validation) for run in runs}) < 2:
        return runs, []
    steps = [set(validation_curve(run.rows, run.metric_keys).step_E.tolist()) for run in runs]
    common = set.intersection(*steps)
    if not common:
        texts = "; ".join(f"{run.path}: {run.progress}" for run in runs)
        text = f"the runs of {name} have no validation in common ({texts}). Report them one by one."
        raise RunError(text, key=name, reason="size")
    last = int(max(common))
    note = f"{name} counts up to step {last} only, the last at which all of its {len(runs)} runs were validated."
    return [replace(run, rows=run.rows[run.rows["step"] <= last]) for run in runs], [note]


def _equal_seeds(runs: list[Run]) -> list[str]:
    """Name runs of a method that have one seed, and yet differ."""
    notes = []
    for index, run in enumerate(runs):
        twins = [other.path for other in runs[:index] if other.seed == run.seed]
        if twins:
            notes.append(f"{twins[0]} and {run.path} are both {run.name!r} with seed {run.seed}; both count.")
    return notes
