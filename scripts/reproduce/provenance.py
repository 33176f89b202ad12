"""Of which code and machine the kept runs are, and each timing run by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from verl_dots.evidence.cells import Cell, Column, Figure, Missing, Section, Table, Why
from verl_dots.evidence.combinations import Combinations, label, title
from verl_dots.evidence.measures import ROUND_COLUMNS
from verl_dots.evidence.methods import in_order
from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN, Evidence
from verl_dots.reporting import metric_means

KINDS = {ACCURACY_RUN: "accuracy", TIMING_RUN: "time of a step"}
COMMIT_DIGITS = 12
UNKNOWN = "not recorded"


def made_table(runs: pd.DataFrame) -> Table:
    """A row for each commit and machine: which methods and combinations ran there, and for what.

    Args:
        runs: of `records.Evidence`.
    """
    rows = []
    for kind, of in KINDS.items():
        mine = runs[runs.kind == kind]
        order = {method: place for place, method in enumerate(in_order(sorted(set(mine.method))))}
        found = [(methods, names, *where) for where, groups in _together(mine).items() for names, methods in groups]
        for methods, names, commit, machine in sorted(found, key=lambda row: order[in_order(sorted(row[0]))[0]]):
            ran = mine[mine.method.isin(methods) & mine.combination.isin(names)]
            count = int(((ran.commit == commit) & (ran.machine == machine)).sum())
            texts = (
                _joined(methods, set(mine.method), "methods", label),
                _joined(names, set(mine.combination), "combinations", str),
            )
            rows.append((*texts, of, str(count), commit or UNKNOWN, machine or UNKNOWN))
    columns = tuple(map(Column, ("method", "combination", "for", "runs", "commit", "machine")))
    return Table("made", "Machines and commits", columns, (Section("", tuple(rows)),))


def _together(runs: pd.DataFrame) -> Mapping[tuple[str, str], list[tuple[frozenset[str], frozenset[str]]]]:
    """Commit and machine -> combinations, and the methods that ran on just these there."""
    found: dict[tuple[str, str], list[tuple[frozenset[str], frozenset[str]]]] = {}
    for where, of_place in runs.groupby(["commit", "machine"], sort=True):
        methods: dict[frozenset[str], set[str]] = defaultdict(set)
        for method, rows in of_place.groupby("method"):
            methods[frozenset(rows.combination)].add(str(method))
        found[where] = [(names, frozenset(of)) for names, of in methods.items()]
    return found


def _joined(names: Iterable[str], every: set[str], what: str, shown: Callable[[str], str]) -> str:
    """The names, or that it is every one: a method is itself called "all"."""
    if len(every) > 1 and set(names) == every:
        return f"all {len(every)} {what}"
    return ", ".join(map(shown, in_order(sorted(names))))


def timing_table(evidence: Evidence, rounds: pd.DataFrame, combinations: Combinations) -> Table:
    """A section for each combination, a row for each timing run.

    Args:
        rounds: of `verl_dots.evidence.measures`.
    """
    timed = evidence.runs[evidence.runs.kind == TIMING_RUN]
    ratios = rounds.set_index(list(ROUND_COLUMNS[:3])).step_ratio.to_dict()
    sections = []
    for name, runs in timed.groupby("combination", sort=True):
        rows = tuple(
            _timed(evidence, run, ratios)
            for method in in_order(sorted(set(runs.method)))
            for run in runs[runs.method == method].sort_values("seed").itertuples()
        )
        sections.append(Section(title(str(name), combinations), rows))
    columns = (
        Column("method"), Column("round"), Column("step", "s", digits=3), Column("step", "GRPO = 1"), Column("commit"),
        Column("machine"), Column("fingerprint"),
    )  # fmt: skip
    return Table("timed", "Timing runs", columns, tuple(sections))


def _timed(evidence: Evidence, run, ratios: Mapping[tuple, float]) -> tuple[Cell, ...]:
    key = (run.combination, run.method, run.seed)
    seconds, ratio = metric_means.seconds_per_step(evidence.run(*key, TIMING_RUN)), ratios.get(key, float("nan"))
    figures = (Figure(float(one)) if one == one else Missing(Why.NOT_RECORDED) for one in (seconds, ratio))
    commit, machine = run.commit[:COMMIT_DIGITS] or UNKNOWN, run.machine or UNKNOWN
    return (label(run.method), str(run.seed), *figures, commit, machine, run.fingerprint)
