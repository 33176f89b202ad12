"""Whether two machines computed the same: fingerprints of runs, compared."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from verl_dots.evidence.records import RUN_KEY

KEY = list(RUN_KEY)


@dataclass(frozen=True)
class Agreement:
    """Runs by how their fingerprints compare; each list holds names COMBINATION/METHOD-seedSEED (KIND).

    Attributes:
        same, different: runs of both machines.
        only_here, only_kept: runs of one of them.
    """

    same: tuple[str, ...]
    different: tuple[str, ...]
    only_here: tuple[str, ...]
    only_kept: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """In one line; what differs is named."""
        named = f": {', '.join(self.different)}" if self.different else ""
        return (
            f"{len(self.same)} of {len(self.same) + len(self.different)} runs have the kept fingerprint{named}. "
            f"{len(self.only_here)} runs are here alone, {len(self.only_kept)} of the kept ones are not here."
        )


def agreement(here: pd.DataFrame, kept: pd.DataFrame) -> Agreement:
    """Compare the `runs` of two `Evidence`s. Runs without a fingerprint count as not there."""
    mine, theirs = (_prints(runs) for runs in (here, kept))
    both = [key for key in mine if key in theirs]
    same = [key for key in both if mine[key] == theirs[key]]
    return Agreement(
        same=tuple(map(_name, same)),
        different=tuple(_name(key) for key in both if key not in same),
        only_here=tuple(_name(key) for key in mine if key not in theirs),
        only_kept=tuple(_name(key) for key in theirs if key not in mine),
    )


def _prints(runs: pd.DataFrame) -> dict[tuple, str]:
    """Fingerprint of each run that has one, by its key."""
    there = runs[runs.fingerprint.fillna("").astype(str) != ""].sort_values(KEY)
    return dict(zip(there[KEY].itertuples(index=False, name=None), there.fingerprint, strict=True))


def _name(key: tuple) -> str:
    combination, method, seed, kind = key
    return f"{combination}/{method}-seed{seed} ({kind})"
