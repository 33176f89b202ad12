"""Everything that is shown of an evidence: claims, tables and figures as files, and the page of them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verl_dots.evidence import against, tables
from verl_dots.evidence.cells import Table
from verl_dots.evidence.claims import Claim, claims_table, read_claims, require_known
from verl_dots.evidence.combinations import Combination, Combinations, those_apart, without_baseline
from verl_dots.evidence.figures.write import write_figures
from verl_dots.evidence.measuring import Measured
from verl_dots.evidence.methods import BASELINE
from verl_dots.evidence.page import PAGE_FILE, page, write_page
from verl_dots.evidence.per_seed import seeds_table
from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN, Evidence
from verl_dots.files import read_yaml
from verl_dots.settings import ConfigError

TABLES, FIGURES = "tables", "figures"
ABOUT = "recipes/evidence/cpu.yaml shows what it holds"
TITLE = "Methods, combinations and seeds"


@dataclass(frozen=True)
class About:
    """What the runs do not tell.

    Attributes:
        combinations: titles, and the papers' rows that they stand for.
        claims: what the figures are held against.
        methods: of the matrix, whether or not they were run.
        commands: by which all of it is made again.
    """

    combinations: Combinations = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    methods: Collection[str] = ()
    commands: str = ""


def read_about(matrix: Path | None, claims: Path | None, commands: str = "") -> About:
    """Titles and rows of a matrix file (recipes/evidence), and the claims of another.

    Args:
        matrix: has an entry `combinations`: name -> {title, stands_for, ...}; `paper` is the recipe that one repeats,
            and `apart` says that the mean of combinations leaves it out. Its `methods` are known to claims.

    Raises:
        Refusal: a file cannot be read, or holds something else.
    """
    content = read_yaml(matrix, dict, ABOUT) if matrix else {}
    given, methods = content.get("combinations", {}), content.get("methods", {})
    if not isinstance(given, dict) or not all(isinstance(of, dict) for of in given.values()):
        text = f"--about {matrix}: its combinations must be groups by name; {ABOUT}"
        raise ConfigError(text, key="--about", reason="type")
    combinations = {str(name): _combination(f"{matrix}: combinations.{name}", of) for name, of in given.items()}
    if not isinstance(methods, dict | list):
        raise ConfigError(f"--about {matrix}: its methods must be named; {ABOUT}", key="--about", reason="type")
    return About(combinations, read_claims(claims) if claims else (), tuple(map(str, methods)), commands)


def _combination(where: str, of: Mapping[str, Any]) -> Combination:
    texts = {name: of.get(name, "") for name in ("title", "paper")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise ConfigError(f"{where}.{name}={text!r:.80}: must be text", key=name, reason="type")
    given = of.get("stands_for", "")
    rows = tuple(given) if isinstance(given, list) else (given,)
    if not all(isinstance(one, str) for one in rows):
        text = f"{where}.stands_for={given!r:.80}: must be text, or a list of texts"
        raise ConfigError(text, key="stands_for", reason="type")
    apart = of.get("apart", False)
    if not isinstance(apart, bool):
        raise ConfigError(f"{where}.apart={apart!r:.80}: must be true or false", key="apart", reason="type")
    return Combination(*texts.values(), stands_for=rows, apart=apart)


def facts(evidence: Evidence) -> dict[str, str]:
    """Where, of which code, when, and how many runs."""
    runs = evidence.runs
    kinds = {"for accuracy": ACCURACY_RUN, "for the time of a step": TIMING_RUN}
    counts = [f"{int((runs.kind == kind).sum())} {words}" for words, kind in kinds.items()]
    times = sorted(text for text in [*runs.started, *runs.finished] if text)
    return {
        "Machine": "; ".join(sorted({text for text in runs.machine if text})) or "not recorded",
        "Commit": ", ".join(sorted({text for text in runs.commit if text})) or "not recorded",
        "Runs": ", ".join(counts),
        "Made": f"{times[0][:10]} to {times[-1][:10]}" if times else "not recorded",
    }


def result_tables(evidence: Evidence, measured: Measured, about: About) -> list[Table]:
    """The claims where there are some, the overview, the papers' tables, and every seed.

    Raises:
        ConfigError: a claim is of what there is not.
    """
    chosen = {name: of for name, of in about.combinations.items() if name in set(evidence.runs.combination)}
    ours = tables.Ours(evidence, measured, evidence.evaluations, evidence.extra)
    lacking = [name for name in without_baseline(evidence, measured.baseline) if name not in measured.apart]
    held = [_held(about, measured, lacking)] if about.claims else []
    return [
        *held,
        *tables.all_tables(ours, chosen),
        seeds_table(measured.by_seed, evidence.runs, chosen, measured.baseline),
    ]


def _held(about: About, measured: Measured, lacking: Sequence[str]) -> Table:
    if measured.baseline != BASELINE:
        text = f"claims are of {BASELINE}, and --baseline={measured.baseline} measures against another; leave one out"
        raise ConfigError(text, key="--baseline", reason="excluded")
    require_known(about.claims, measured.summary, about.methods, about.combinations)
    names, apart = {claim.against for claim in about.claims} - {BASELINE}, those_apart(about.combinations)
    others = {name: against.differences(measured.by_seed, name, apart) for name in sorted(names)}
    return claims_table(about.claims, measured.summary, others, measured.by_seed, apart, lacking)


def write_results(evidence: Evidence, measured: Measured, folder: Path, about: About) -> list[Path]:
    """Write `tables`, `figures` and the page into a folder; return the paths of the figures and of the page."""
    shown = result_tables(evidence, measured, about)  # before anything is written: it refuses claims
    chosen = {name: of for name, of in about.combinations.items() if name in set(evidence.runs.combination)}
    tables.write_tables(evidence, measured, folder / TABLES, chosen)
    titles = {name: of.title for name, of in chosen.items()}
    figures = write_figures(evidence, measured, folder / FIGURES, titles)
    told = facts(evidence) | {f"Note {number}": note for number, note in _notes(evidence, measured)}
    text = page(TITLE, told, shown, figures.drawn, about.commands, figures.reasons)
    write_page(folder / PAGE_FILE, text)
    return [*(file for file, _ in figures.drawn), folder / PAGE_FILE]


def _notes(evidence: Evidence, measured: Measured) -> list[tuple[int, str]]:
    """What was left out, and what a reader must know."""
    return list(enumerate((*evidence.notes, *measured.notes), start=1))
