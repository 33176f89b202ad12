"""The report as markdown: what does not count and what to know first, then tables and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from verl_dots.reporting import configs, fairness, figures, obstacles, tables
from verl_dots.reporting.comparison import Comparison
from verl_dots.reporting.runs import Run
from verl_dots.texts import NOTHING, markdown

FIRST_WORDS = "# Training report: "
ACCURACY_FILE = "accuracy.png"
TRAINING_FILE = "training.png"
EFFECTIVE_FILE = "effective.png"
REPLAY_FILE = "replay.png"
CONTROLLER_FILE = "controller.png"
_TIMES_NOTE = (
    "Train time: the training steps with their checkpoints, without validation. Wall time: everything since the start, "
    "validation included."
)
_FEW_RUNS_NOTE = (
    "Times of fewer than three runs of a method are of chance as well: the same runs, made again, may save a fifth "
    "more or less."
)
_ENOUGH_RUNS = 3
_PHASES_NOTE = (
    "Means over steps and seeds, the first step left out. `step` is verl's timer around a training step; it holds "
    "the other phases except `testing`, the validation, which runs after it in some steps and is spread over all."
)


def report_text(comparison: Comparison) -> str:
    """Return the report as markdown; it refers to the figures by file name."""
    names = ", ".join(method.name for method in comparison.methods)
    lines = [f"{FIRST_WORDS}{names}", "", f"{comparison.label}: {_metric_text(comparison)}", ""]
    lines += _bullets("Runs left out", [one.sentence for one in comparison.left_out])
    lines += _bullets("To know before comparing", comparison.notes)
    lines += [
        tables.overview_table(comparison),
        "",
        f"Accuracy: {comparison.smoothing}. *First* and *final* are the ends of that curve. ± is one standard "
        f"deviation over runs. {times_note(comparison)} Train s/step leaves the first step (warm-up) out.",
        "",
        f"![{comparison.label} against steps, wall time and generated tokens]({ACCURACY_FILE})",
        "",
    ]
    lines += _savings_section(comparison)
    lines += _optional_sections(comparison)
    lines += ["## Training", "", f"![Reward, entropy and response length against steps]({TRAINING_FILE})", ""]
    phases = tables.phases_table(comparison)
    if phases:
        lines += ["## Seconds per step by phase", "", phases, "", _PHASES_NOTE, ""]
    return "\n".join(lines + _settings_section(comparison) + _run_section(comparison))


def times_note(comparison: Comparison) -> str:
    """Return what times are, and what they cannot tell where they are of few runs that are compared."""
    compared = len(comparison.methods) > 1
    few = compared and any(len(method.runs) < _ENOUGH_RUNS for method in comparison.methods)
    return f"{_TIMES_NOTE} {_FEW_RUNS_NOTE}" if few else _TIMES_NOTE


def _bullets(title: str, sentences: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {sentence}" for sentence in sentences), ""] if sentences else []


def _savings_section(comparison: Comparison) -> list[str]:
    table = tables.savings_table(comparison)
    if not table:
        return []
    target = obstacles.value_text(comparison.target, comparison.is_accuracy)
    baseline = comparison.methods[0]
    at = f"accuracy at step {baseline.mean.step_E[-1]:.0f}" if baseline.unfinished else "final accuracy"
    lines = [f"## Cost of reaching {baseline.name}'s {at} ({target})", "", table, ""]
    if comparison.no_saving:
        return lines
    lines += [
        "Where the mean curve first reaches it, interpolated between validations; the baseline is measured "
        f"in the same way. {_TIMES_NOTE} Saved train time: train time = 1 - (1 - steps)(1 - s/step). Negative: more "
        "than the baseline. Accuracies in brackets: training had ended before.",
        "",
    ]
    found = (tables.equal_time_table(comparison), tables.milestones_table(comparison))
    return lines + [line for table in found if table for line in (table, "")]


def _optional_sections(comparison: Comparison) -> list[str]:
    """What only some methods record."""
    lines = []
    if any(math.isfinite(method.effective_groups) for method in comparison.methods):
        lines += [
            "## Effective groups", "", f"![Share of groups whose rollouts differ in reward]({EFFECTIVE_FILE})", "",
            "A group whose rollouts all have the same reward has no advantage and teaches nothing.", "",
            tables.outcomes_table(comparison), "",
        ]  # fmt: skip
    if _recorded(comparison, figures.REPLAYED_SHARE):
        lines += ["## Replay", "", f"![Share replayed, change of the policy by age, share clipped]({REPLAY_FILE})", ""]
    if _recorded(comparison, figures.TEMPERATURE):
        picture = f"![Entropy with and without the controller, temperature]({CONTROLLER_FILE})"
        lines += ["## Temperature", "", picture, ""]
    return lines


def _recorded(comparison: Comparison, key: str) -> bool:
    return any(key in run.rows for method in comparison.methods for run in method.runs)


def _settings_section(comparison: Comparison) -> list[str]:
    """A table of all settings in which the methods' first runs differ."""
    found = fairness.between_methods({method.name: method.runs for method in comparison.methods})
    if not found:
        return []
    rows = [[", ".join(keys), *map(configs.shortened, values)] for keys, values in found]
    table = markdown(["key", *(method.name for method in comparison.methods)], rows)
    return ["## Settings that differ", "", table, "", "Of the first run of each method.", ""]


def _run_section(comparison: Comparison) -> list[str]:
    all_runs = [run for method in comparison.methods for run in method.runs]
    rows = [
        [str(run.path), run.name, _text(run.seed), _text(run.started), _end(run), run.progress, str(run.resumes)]
        for run in all_runs
    ]
    header = ["folder", "method", "seed", "started", "finished", "rows up to", "times resumed"]
    lines = ["## Runs", "", markdown(header, rows), ""]
    versions = sorted({f"{name} {version}" for run in all_runs for name, version in run.versions.items()})
    return lines + ([f"Versions: {', '.join(versions)}", ""] if versions else [])


def _end(run: Run) -> str:
    return run.finished or ("not finished" if run.tells_end else "not known")


def _metric_text(comparison: Comparison) -> str:
    keys = ", ".join(f"`{key}`" for key in comparison.metric_keys)
    return f"the mean of {keys}" if len(comparison.metric_keys) > 1 else keys


def _text(value: object) -> str:
    return NOTHING if value is None else str(value)
