"""Settings of MoPPS: questions chosen by a posterior of each one's success rate."""

import math
from dataclasses import dataclass

from verl_dots.settings import Settings, require


@dataclass(frozen=True)
class MoPPSConfig(Settings):
    """MoPPS: questions chosen by a posterior of each one's success rate, without reference rollouts.

    The defaults are those of arXiv 2507.04632 on MATH. With `reference` it is BOTS (arXiv 2510.26374).

    Attributes:
        enable: train on questions whose success rate, drawn from its posterior, is nearest to the target.
        target: target difficulty, 1 - success rate; both papers take 0.5.
        memory: share of the earlier evidence that stays when new evidence comes; the rest returns to the prior. It is
            MoPPS's lambda, and 1 - lambda of BOTS.
        prior: successes and failures that every question begins with, as counts.
        candidates: questions that are drawn uniformly for each one that is chosen; null for all questions.
        reference: fields of the data with success rates in [0, 1] of a weaker and a stronger reference model; null
            does without. With them, what is measured moves the posterior of every question.
        implicit: weight of what is interpolated from `reference`, against 1 for what is measured (BOTS's rho).
        damping: share of the earlier steps in the place of the policy between the two reference models.
    """

    enable: bool = False
    target: float = 0.5
    memory: float = 1.0
    prior: tuple[float, float] = (1.0, 1.0)
    candidates: int | None = 16
    reference: tuple[str, str] | None = None
    implicit: float = 0.1
    damping: float = 0.9

    def __post_init__(self):
        require("dots.mopps.target", self.target, 0 <= self.target <= 1, "must be in [0, 1]")
        require("dots.mopps.memory", self.memory, 0 <= self.memory <= 1, "must be in [0, 1]")
        counts = math.isfinite(sum(self.prior)) and min(self.prior) > 0
        require("dots.mopps.prior", list(self.prior), counts, "must be [successes, failures], both above 0")
        enough = self.candidates is None or self.candidates >= 1
        require("dots.mopps.candidates", self.candidates, enough, "must be 1 or more, or null for all questions")
        different = self.reference is None or self.reference[0] != self.reference[1]
        require("dots.mopps.reference", self.reference, different, "must be two different fields, or null")
        require("dots.mopps.implicit", self.implicit, 0 <= self.implicit <= 1, "must be in [0, 1]")
        require("dots.mopps.damping", self.damping, 0 <= self.damping < 1, "must be in [0, 1)")
