"""What combinations of model and data are: their titles, the papers' rows that they repeat, and what they ran on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from verl_dots.evidence import papers
from verl_dots.evidence.measures import OVERALL
from verl_dots.evidence.methods import BASELINE, LOOKS, in_order
from verl_dots.evidence.records import ACCURACY_RUN, Evidence

BASE = "base"  # the model before training, of which there is no run


@dataclass(frozen=True)
class Combination:
    """What a combination is.

    Attributes:
        title: for a reader; its name where empty.
        paper: the recipe of recipes/ that it repeats, `dots/math-1.5b_math`; empty for none.
        stands_for: the rows of papers that it imitates at another scale, one of each paper, in words; empty for none.
        apart: whether it has sections of its own alone, and the mean of combinations leaves it out.
    """

    title: str = ""
    paper: str = ""
    stands_for: str | tuple[str, ...] = ""
    apart: bool = False

    @property
    def rows(self) -> tuple[str, ...]:
        """`stands_for`, each row by itself."""
        given = (self.stands_for,) if isinstance(self.stands_for, str) else self.stands_for
        return tuple(filter(None, given))


Combinations = Mapping[str, Combination]


def described(evidence: Evidence, given: Combinations) -> dict[str, Combination]:
    """Every combination that is given or was run; one that is not given and is named like a recipe repeats it.

    Raises:
        ValueError: a combination names a recipe that no table has, or two combinations name the same one.
    """
    settings = papers.settings()
    known = {
        name: given.get(name, Combination(paper=name if name in settings else ""))
        for name in sorted({*given, *evidence.runs.combination})
    }
    repeated: dict[str, str] = {}
    for name, one in known.items():
        if one.paper and one.paper not in settings:
            allowed = ", ".join(sorted(settings))
            raise ValueError(f"combination {name!r} repeats {one.paper!r}, which no table has; choose of {allowed}")
        if one.paper and repeated.setdefault(one.paper, name) != name:
            raise ValueError(f"{name!r} and {repeated[one.paper]!r} both repeat {one.paper!r}; let one do so")
    return known


def those_apart(combinations: Combinations) -> frozenset[str]:
    """Names of the combinations that the mean leaves out."""
    return frozenset(name for name, one in combinations.items() if one.apart)


def title(name: str, combinations: Combinations) -> str:
    """A combination's name for a reader."""
    return (combinations[name].title if name in combinations else "") or name


def mean_title(name: str, evidence: Evidence, combinations: Combinations, baseline: str = BASELINE) -> str:
    """The name for a reader of what stands for all: the mean, and which it leaves out; or the only combination."""
    if name != OVERALL:
        return title(name, combinations)
    left_out = {*those_apart(combinations), *without_baseline(evidence, baseline)}
    without = [title(one, combinations) for one in sorted(left_out.intersection(evidence.runs.combination))]
    return f"{OVERALL}, without {', '.join(without)}" if without else OVERALL


def without_baseline(evidence: Evidence, baseline: str) -> list[str]:
    """Combinations with runs for accuracy, and none of the baseline: they cannot be measured."""
    runs = evidence.runs[evidence.runs.kind == ACCURACY_RUN]
    return sorted(set(runs.combination) - set(runs.combination[runs.method == baseline]))


def label(method: str) -> str:
    """A method's name for a reader."""
    if method == BASE:
        return "before training"
    return LOOKS[method].label if method in LOOKS else method


def methods_run(evidence: Evidence, combination: str) -> list[str]:
    """Methods that have a run that counts for accuracy, in the order of all tables."""
    runs = evidence.runs
    return in_order(sorted(set(runs.method[(runs.combination == combination) & (runs.kind == ACCURACY_RUN)])))


INTERVALS = (
    "Ours: mean over seeds and its 95 % interval. Of one combination it is a bootstrap's, and of three seeds their "
    "range. Of the mean of combinations it is Student's t, with the variance within combinations pooled."
)


def scale_notes(evidence: Evidence, combinations: Combinations, names: Iterable[str]) -> list[str]:
    """What combinations were run on, a sentence each, and what intervals are; nothing where there are none."""
    notes = []
    for name in sorted(set(names)):
        runs = evidence.runs[evidence.runs.combination == name]
        parts = [title(name, combinations)]
        for column in ("model", "data", "machine"):
            values = sorted({str(value) for value in runs[column] if value})
            parts.append(f"{column} {', '.join(values) or 'not recorded'}")
        if name in combinations and combinations[name].rows:
            parts.append(f"stands for {' and for '.join(combinations[name].rows)}")
        notes.append(f"Ours, {'; '.join(parts)}.")
    return [INTERVALS, *notes] if notes else []
