"""Rounds of timing runs that were cut: what of them no later run can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.reproduce import plan
from scripts.reproduce.plan import Planned
from verl_dots.evidence.sittings import sittings, span
from verl_dots.training import origin


def of_another_sitting(run: Planned, runs: Sequence[Planned], root: Path, now: float) -> list[Planned]:
    """Finished timing runs of a run's round and combination that it would make no pair with, if it began now.

    They are of another commit, or so long ago that they are of another sitting (`evidence.sittings`). A run that does
    not tell its times is of none.

    Args:
        root: of the checkout, in whose commit the run would be made.
        now: seconds since 1970.
    """
    mates = [one for one in runs if _round(one) == _round(run) and plan.finished(root / one.folder)]
    told = {one: plan.info_of(root / one.folder) for one in mates}
    spans = {one: span(str(info.get("started")), str(info.get("finished"))) for one, info in told.items()}
    known = {one: of for one, of in spans.items() if of is not None} | {run: (now, now)}
    sitting = next(of for of in sittings(known) if run in of)
    commit = origin.commit(root) or ""
    return [one for one in mates if one not in sitting or (told[one].get("commit") or "") != commit]


def _round(run: Planned) -> tuple[str, int, str]:
    return run.combination, run.seed, run.kind
