"""What a reader must know before believing a comparison: where runs differ though they should be the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from verl_dots.reporting import configs, validation_curves
from verl_dots.reporting.runs import CONFIG_FILE, Run

Groups = Mapping[str, Sequence[Run]]
# A step that took so many times the median, and so much of all train time, is named.
STALL, STALL_SHARE = 10.0, 0.1
# Accuracies before training that are further apart are not those of one model.
START_APART = 0.05
_MOST_DIFFERENCES = 8
_MOST_KEYS = 3
_MOST_NAMES = 4


def notes(groups: Groups) -> tuple[str, ...]:
    """Return one sentence for each thing that makes runs of a method, or methods, hard to compare."""
    runs = [run for members in groups.values() for run in members]
    found = [*_missing_settings(runs)]
    for name, members in groups.items():
        known = [run for run in members if run.settings is not None]
        different = configs.differences(_settings(known))
        found += _differences(f"the runs of {name} differ in", different, [str(run.path) for run in known])
    different = [(configs.split_by_method(keys)[0], values) for keys, values in between_methods(groups)]
    found += _differences("methods differ in", [item for item in different if item[0]], list(groups))
    found += [*_lengths(groups), *_copies(runs), *_ends(runs), *_stalls(runs), *_machines(groups)]
    if len(groups) > 1:
        found += [*_seeds(groups), *_starts(groups), *_same_settings(groups), *_metric(runs[0])]
    return tuple(found)


def between_methods(groups: Groups) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return [(keys, value in each method)] of the settings in which the methods' first runs differ."""
    first = [members[0] for members in groups.values()]
    if any(run.settings is None for run in first):
        return []
    return configs.differences(_settings(first))


def validated_steps(run: Run) -> list[int]:
    """Return the steps at which a run was validated."""
    return [int(step) for step in validation_curves.validation_curve(run.rows, run.metric_keys).step_E]


def _settings(runs: Sequence[Run]) -> list[dict]:
    """The settings of runs, and their versions where all of them tell any."""
    with_versions = all(run.versions for run in runs)
    versions = [run.versions if with_versions else {} for run in runs]
    return [
        dict(run.settings or {}) | {f"version of {name}": value for name, value in own.items()}
        for run, own in zip(runs, versions, strict=True)
    ]


def _missing_settings(runs: Sequence[Run]) -> list[str]:
    missing = [str(run.path) for run in runs if run.settings is None]
    if not missing or len(runs) == 1:
        return []
    which = "no run" if len(missing) == len(runs) else f"not every run (not {_few(missing)})"
    return [
        f"{which} has a {CONFIG_FILE} that can be read: whether model, data and batch are the same was not checked."
    ]


def _differences(
    words: str, different: Sequence[tuple[tuple[str, ...], tuple[str, ...]]], labels: Sequence[str]
) -> list[str]:
    """One sentence a difference, the first ones: "WORDS data.train_batch_size: 8 (grpo), 16 (dots, dash)."""
    found = []
    for keys, values in different[:_MOST_DIFFERENCES]:
        more = f" and {len(keys) - _MOST_KEYS} more keys" if len(keys) > _MOST_KEYS else ""
        owners: dict[str, list[str]] = {}
        for value, label in zip(values, labels, strict=True):
            owners.setdefault(value, []).append(label)
        texts = [f"{configs.shortened(value)} ({_few(names)})" for value, names in owners.items()]
        found.append(f"{words} {', '.join(keys[:_MOST_KEYS])}{more}: {', '.join(texts)}.")
    rest = sum(len(keys) for keys, _ in different[_MOST_DIFFERENCES:])
    return found + ([f"{words} {rest} more settings."] if rest else [])


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _lengths(groups: Groups) -> list[str]:
    """Name methods of different length or first validation, and methods whose runs differ in their validations."""
    found = []
    first = {name: members[0] for name, members in groups.items()}
    steps = {name: run.last_step for name, run in first.items()}
    if len(set(steps.values())) > 1:
        found.append(f"methods differ in steps trained: {_by_value(steps)}.")
    begins = {name: validated_steps(run)[0] for name, run in first.items()}
    if len(set(begins.values())) > 1:
        found.append(
            f"methods differ in the step of their first validation, and so in their gain: {_by_value(begins)}."
        )
    for name, members in groups.items():
        if len({tuple(validated_steps(run)) for run in members}) > 1:
            found.append(f"the runs of {name} were validated at different steps: only those that all share count.")
    return found


def _by_value(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _seeds(groups: Groups) -> list[str]:
    counts = {name: len(members) for name, members in groups.items()}
    if len(set(counts.values())) > 1:
        return [f"methods differ in the number of their runs: {_by_value(counts)}."]
    seeds = {name: sorted({str(run.seed) for run in members}) for name, members in groups.items()}
    if len({tuple(found) for found in seeds.values()}) > 1:
        texts = ", ".join(f"{name} {' '.join(found)}" for name, found in seeds.items())
        return [f"methods differ in their seeds: {texts}."]
    return []


def _copies(runs: Sequence[Run]) -> list[str]:
    """Name runs that have the same rows to the last digit, times among them."""
    found = []
    for index, run in enumerate(runs):
        for other in runs[:index]:
            if run.rows.equals(other.rows):
                found.append(f"{other.path} and {run.path} have the same rows, times included: is one a copy?")
                break
    return found


def _ends(runs: Sequence[Run]) -> list[str]:
    """Name runs whose final accuracy is not of their last step."""
    return [
        f"{run.path} was last validated at step {run.last_validation} of its {run.last_step}."
        for run in runs
        if run.last_validation < run.last_step
    ]


def _stalls(runs: Sequence[Run]) -> list[str]:
    """Name runs in which one step took much of the time: the machine stood still."""
    found = []
    for run in runs:
        steps = run.rows[run.rows["step"] >= 1].set_index("step")["train_seconds"].dropna()
        seconds = steps.diff().dropna() / np.diff(steps.index)
        if len(seconds) < 2:
            continue
        slowest, median = seconds.idxmax(), seconds.median()
        if seconds[slowest] > STALL * median and seconds[slowest] > STALL_SHARE * steps.iloc[-1]:
            found.append(
                f"{run.path}: step {slowest} took {seconds[slowest]:.0f} s where the median is {median:.3g} s; "
                "its times are bent by that."
            )
    return found


def _machines(groups: Groups) -> list[str]:
    """Name the machines of methods, where they are several."""
    methods: dict[str, list[str]] = {}
    for name, machine in dict.fromkeys((name, run.machine) for name, members in groups.items() for run in members):
        if machine:
            methods.setdefault(machine, []).append(name)
    if len(methods) < 2:
        return []
    texts = "; ".join(f"{machine} ({_few(names)})" for machine, names in methods.items())
    return [f"runs are of several machines, whose times cannot be compared: {texts}."]


def _starts(groups: Groups) -> list[str]:
    """Name methods that began, before any training, from accuracies too far apart for one model."""
    starts = {}
    for name, members in groups.items():
        curves = [validation_curves.validation_curve(run.rows, run.metric_keys) for run in members]
        if all(curve.step_E[0] == 0 for curve in curves):
            starts[name] = float(np.mean([curve.accuracy_E[0] for curve in curves]))
    if not starts or max(starts.values()) - min(starts.values()) <= START_APART:
        return []
    texts = ", ".join(f"{name} {value:.3f}" for name, value in starts.items())
    return [f"methods differ in their accuracy before training: {texts}. Is the model the same, and the validation?"]


def _same_settings(groups: Groups) -> list[str]:
    """Name methods that have the same settings: a name for each seed makes methods of the seeds of one."""
    first = [(name, members[0]) for name, members in groups.items() if members[0].settings is not None]
    found = []
    for index, (name, run) in enumerate(first):
        twin = next((known for known, other in first[:index] if not configs.differences(_settings([run, other]))), None)
        if twin is not None:
            found.append(
                f"{twin} and {name} have the same settings: seeds of one method share trainer.experiment_name."
            )
    return found


def _metric(run: Run) -> list[str]:
    training = [key for key in run.metric_keys if not key.startswith("val")]
    if not training:
        return []
    return [f"{training[0]} is measured on training batches, which methods choose differently; it is no validation."]
