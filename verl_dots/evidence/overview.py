"""All methods on all combinations in one table: what each saves on the way to the baseline's final accuracy."""

from __future__ import annotations

from verl_dots.evidence.cells import Cell, Column, Section, Table
from verl_dots.evidence.combinations import Combinations, label, mean_title, methods_run, scale_notes, title
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.ours import Asked, Ours

NAME = "overview"
# Heading -> measure.
SAVED = {
    "steps saved": "steps_saved",
    "time per step saved": "seconds_per_step_saved",
    "total time saved": "total_saved",
    "total time saved for good": "total_saved_kept",
    "tokens saved": "tokens_saved",
    "rollouts saved": "rollouts_saved",
}
NOTES = (
    "Standard deviation: of the final accuracies of the seeds; of the mean of combinations, between these.",
    "Above {baseline}: by how many points the final accuracy is above that of the baseline's run of the same seed.",
    "At equal tokens: the same once both have generated as many tokens as the one that generates fewer.",
    "Saved: the share of the baseline's cost that a method needs less until it first has the baseline's final "
    "accuracy; below 0 it needs more. For good: until the accuracy stays.",
    "Saves nothing: it needs as much as the baseline, or more. Unclear: the interval holds 0, whatever the mean.",
    "Not measured: its steps were not timed. Baseline: what the others are held against.",
    "Not reached: a run never has the accuracy, and what it may save at most is not known.",
    "Reached: seeds that come to the baseline's final accuracy; of the mean of combinations, runs.",
    "At most: one that never comes there counts with the most that it may save. What it cost up to its last "
    "validation stands for what it would need at least.",
)


def overview(ours: Ours, combinations: Combinations) -> Table:
    """A section for each combination, and one for the mean of them where the summary has it."""
    columns = [Column("method"), Column("reached"), Column("final accuracy", "%")]
    columns += [
        Column("standard deviation", "points"),
        Column(f"above {label(ours.measured.baseline)}", "points"),
        Column(f"above {label(ours.measured.baseline)} at equal tokens", "points"),
    ]
    columns += [Column("generated tokens", "k", digits=1)]
    columns += [Column(heading, "%", digits=1) for heading in SAVED]
    names = sorted(set(ours.evidence.runs.combination))
    sections = [
        Section(title(name, combinations), _rows(ours, name, methods_run(ours.evidence, name))) for name in names
    ]
    summary = ours.summary
    # Of a method that lacks a combination there is no mean.
    overall = summary[(summary.combination == OVERALL) & (summary.measure == "final_accuracy")].dropna(subset="mean")
    if len(overall):
        heading = mean_title(OVERALL, ours.evidence, combinations, ours.measured.baseline)
        sections.append(Section(heading, _rows(ours, OVERALL, in_order(sorted(set(overall.method))))))
    notes = [note.format(baseline=label(ours.measured.baseline)) for note in NOTES]
    notes = (*notes, *scale_notes(ours.evidence, combinations, names))
    return Table(NAME, "All methods", tuple(columns), tuple(sections), notes)


def _rows(ours: Ours, combination: str, methods: list[str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(_row(ours, Asked(combination, method)) for method in methods)


def _row(ours: Ours, asked: Asked) -> tuple[Cell, ...]:
    reached = ours.reached(asked)
    measures = (
        "final_accuracy",
        "accuracy_deviation",
        "difference",
        "difference_at_tokens",
        "thousand_tokens",
        *SAVED.values(),
    )
    return (label(asked.method), reached, *(ours.cell(measure, asked) for measure in measures))
