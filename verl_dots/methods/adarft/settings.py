"""Settings of AdaRFT: a target difficulty that follows the reward."""

import math
from dataclasses import dataclass

from verl_dots.settings import Settings, require, require_choice

FOLLOWED = ("reward", "schedule", "nothing")


@dataclass(frozen=True)
class AdaRFTConfig(Settings):
    """AdaRFT: a target difficulty that follows the reward (arXiv 2504.05520, section 3).

    Attributes:
        enable: train on the questions nearest to a target difficulty. Together with dots.selection the difficulty is
            the predicted one, and the target takes the place of dots.selection.alpha.
        difficulty: field of the data that holds each question's difficulty, greater is harder: a column, or a field of
            one ("extra_info.difficulty").
        range: least and greatest target, in the unit of the difficulties.
        initial: target of the first step; the paper's is the least.
        eta: greatest change of the target in a step, in that unit.
        sensitivity: how sharply the change grows with the reward's distance from `beta`.
        beta: mean reward at which the target stays.
        damping: share of the last steps' reward in the one that the target follows (a moving average); 0 for none.
        coverage: no question comes again before all within this distance of the target had their turn; null repeats
            the nearest, as the paper does.
        follow: what moves the target: the "reward", or a "schedule" that rises evenly over the run; "nothing" draws
            uniformly. A schedule is from `initial` to the greatest. These two are the paper's baselines, with `within`
            as its filter.
        within: least and greatest difficulty of the questions that are trained on at all; null for all.
    """

    RENAMED = {"alpha": "sensitivity"}  # dots.selection.alpha is a target, and this was none

    enable: bool = False
    difficulty: str = "extra_info.difficulty"
    range: tuple[float, float] = (0.0, 100.0)
    initial: float = 0.0
    eta: float = 50.0
    sensitivity: float = 2.0
    beta: float = 0.5
    damping: float = 0.0
    coverage: float | None = None
    follow: str = "reward"
    within: tuple[float, float] | None = None

    def __post_init__(self):
        low, high = self.range
        require("dots.adarft.range", [low, high], math.isfinite(high - low) and low < high, "must be [least, greatest]")
        require("dots.adarft.initial", self.initial, low <= self.initial <= high, f"must be in [{low}, {high}]")
        require("dots.adarft.eta", self.eta, self.eta >= 0, "must be 0 or more")
        require("dots.adarft.sensitivity", self.sensitivity, self.sensitivity > 0, "must be above 0")
        require("dots.adarft.damping", self.damping, 0 <= self.damping < 1, "must be in [0, 1)")
        covered = self.coverage is None or self.coverage >= 0
        require("dots.adarft.coverage", self.coverage, covered, "must be 0 or more, or null")
        require_choice("dots.adarft.follow", self.follow, FOLLOWED)
        ordered = self.within is None or self.within[0] <= self.within[1]
        require("dots.adarft.within", self.within, ordered, "must be [least, greatest], or null")
