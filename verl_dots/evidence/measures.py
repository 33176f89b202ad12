"""What methods need to be as good as a baseline, and what they save: tidy tables that tables and figures read.

`by_seed` has a row for each combination, method and seed, and a column for each measure. Smoothed curves are of the
validations that the runs of a seed share (`curves.at_common_steps`).

    combination, method, seed   the run; `baseline` is the method that it is compared with
    steps, train_seconds, generated_tokens, generated_rollouts
                                what the whole run cost, without its validations
    first_accuracy, final_accuracy, gain
                                both ends of the smoothed validation curve, and what lies between; the first is that
                                before training also where other runs of the seed were not validated then
    difference                  final_accuracy less that of the baseline's run of the same seed
    difference_at_tokens        the same at equal tokens: of both curves, interpolated, where each run has generated as
                                many as the one with fewer does in all. nan: not recorded
    target_SHARE                accuracy at SHARE % of the gain of the baseline's run of the same seed: 50, 75, 90;
                                100 is its final accuracy. nan where it ends no higher than it began
    came_to_SHARE_HOLD          1 where the run came to the target, nan where it did not or there is none
    COST_to_SHARE_HOLD          what it cost to get there, interpolated between validations. COST: of `COSTS`;
                                HOLD: "first", where the curve first is at the target, or "kept", where no later
                                validation is below it (see `reporting.validation_curves.crossing`). nan: not reached,
                                or not recorded, or the first validation is above it: of what it cost nobody
                                knows, and before training it is chance
    step_seconds                mean seconds of a training step and its checkpoint, without the first step
    step_ratio                  the same over the baseline's
    step_source                 "time": both are of timing runs, each against the baseline's of its round, machine,
                                commit and sitting; "accuracy": of the accuracy runs of the seed, of one machine and
                                commit
    saved_per_step              1 - step_ratio
    saved_WHAT_SHARE_HOLD       share of the baseline's own cost to the target that is saved, negative where it is more.
                                WHAT: of `SAVED`, and "time", which is 1 - (1 - steps) (1 - saved_per_step).
                                "train_seconds" are of the accuracy runs, and nan where these may not stand in for
                                timing runs, or are not of one machine and commit
    bound_WHAT_SHARE_HOLD       the same share; of a run that never comes to the target the most that it may save: its
                                cost up to the last validation stands for what it would need at least
    time_ratio_SHARE_HOLD       time to the target over the baseline's: ratio of steps times step_ratio
    effective_groups, all_wrong, all_right
                                mean share of such groups over the steps, of those that are trained on for the first
                                time: reused references among them, groups that stopped early or were refilled not
    effective_selected          mean share of effective groups of all questions that were selected and rolled out, also
                                of those that are not trained on; nan without a selection
    updated_rows                mean share of the batch's rows that the update has; nan without a filter
    rho                         mean correlation of predicted and measured difficulty, of the first of `RHO` that the
                                run has
    timing_s/PART               mean seconds a step of a part of the step, verl's names, of the runs of `step_source`

`summary` has a row for each combination, method and measure (each numeric column of `by_seed` but the seed): `mean`,
`std` (n - 1), `low` and `high` (95 % interval, see `over_seeds.interval`) over `seeds` seeds, of which
`reached` have a value. Where one has none, the four are nan: a mean of the others would favour the method that fails
more often. The mean of a bound is at least that of the savings, so it tells what they cannot be. A method's seeds are
paired with the baseline's, so savings are means of savings.

Where the time of a step is of timing runs, all seeds share it, and its noise is that of the `pairs` of runs that it is
the mean of: a method's and the baseline's, of one combination and round. The interval of step_ratio and saved_per_step
is a t interval over these (`over_rounds`). That of a total is the seeds' and the pairs' together. One pair alone tells
no spread: neither has an interval then. Seconds have none. `pairs` is 0 of all else.

With two combinations or more, rows of the combination `OVERALL` hold the mean over all of them, each alike, and its
interval over their seeds; `std` is that between combinations. It is nan where a method lacks one of them. Combinations
that stand apart do not count.

`rounds` has a row for each such pair: combination, method, round and step_ratio.

`measuring.measure` makes them.
"""

from __future__ import annotations

import re

KEY = ("combination", "method", "seed")
SHARES = (50, 75, 90, 100)
HOLDS = ("first", "kept")
COSTS = ("steps", "train_seconds", "generated_tokens", "generated_rollouts")
# What is saved, and the cost that it is a share of; "time" is of steps and of the seconds of a step.
SAVED = {
    "steps": "steps", "train_seconds": "train_seconds", "tokens": "generated_tokens", "rollouts": "generated_rollouts",
}  # fmt: skip
RHO = ("selection/reference/rho", "selection/explored/rho", "mopps/rho", "selection/rho")
OUTCOMES = {
    "effective_groups": "training/effective_groups",
    "all_wrong": "training/all_wrong_groups",
    "all_right": "training/all_right_groups",
    "effective_selected": "selection/effective_groups",
}
FILTERED = "filter/share"  # of the rows, those that left the update
PART = "timing_s/"
OVERALL = "mean of combinations"
SUMMARY_COLUMNS = ("combination", "method", "measure", "mean", "std", "low", "high", "seeds", "reached", "pairs")
ROUND_COLUMNS = ("combination", "method", "round", "step_ratio")
_SAVED = re.compile(rf"saved_[a-z_]+_(\d+)_({'|'.join(HOLDS)})")


def target_column(share: int) -> str:
    """The column of the accuracy at a share of the baseline's gain."""
    return f"target_{share}"


def cost_column(cost: str, share: int = 100, hold: str = "kept") -> str:
    """The column of what it cost to reach a target: `cost_column("steps")` is "steps_to_100_kept"."""
    return f"{cost}_to_{share}_{hold}"


def saved_column(what: str, share: int = 100, hold: str = "kept") -> str:
    """The column of what is saved on the way to a target: `saved_column("time")` is "saved_time_100_kept"."""
    return f"saved_{what}_{share}_{hold}"


def target_of(saved: str) -> tuple[int, str] | None:
    """Share and hold of a saving's column: of "saved_time_100_first" they are (100, "first"). None of other columns."""
    found = _SAVED.fullmatch(saved)
    return found and (int(found[1]), found[2])


def came_column(share: int = 100, hold: str = "kept") -> str:
    """The column of whether a target was reached."""
    return f"came_to_{share}_{hold}"


def bound_of(saved: str) -> str:
    """The column of the most that is saved: of "saved_time_100_first" it is "bound_time_100_first"."""
    return f"bound_{saved.removeprefix('saved_')}"


def ratio_column(share: int = 100, hold: str = "kept") -> str:
    """The column of the time to a target over the baseline's."""
    return f"time_ratio_{share}_{hold}"
