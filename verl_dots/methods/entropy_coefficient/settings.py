"""Settings of the entropy bonus whose coefficient follows the entropy (arXiv 2505.22312)."""

import math
from dataclasses import dataclass

from verl_dots.settings import Settings, require


@dataclass(frozen=True)
class EntropyCoefficientConfig(Settings):
    """Skywork-OR1's entropy bonus: its coefficient rises while the entropy is below a target.

    Attributes:
        enable: give the actor's loss the bonus; verl's actor.entropy_coeff is its coefficient otherwise.
        target: entropy of a token in nats, over a step's own rollouts. There is no bonus in a step above it.
        initial: coefficient of the first step.
        delta: what the coefficient gains after a step below the target, and loses after one above it.
        most: bound of the coefficient, as in the authors' code; the other one is 0.
    """

    enable: bool = False
    target: float = 0.2
    initial: float = 0.0
    delta: float = 0.0001
    most: float = 0.005

    def __post_init__(self):
        finite = "must be a finite number"
        for name in ("target", "most"):
            value = getattr(self, name)
            rule = f"{finite} above 0"
            require(f"dots.entropy_coefficient.{name}", value, 0 < value < math.inf, rule)
        inside = 0 <= self.initial <= self.most
        require("dots.entropy_coefficient.initial", self.initial, inside, f"must be in [0, most={self.most:g}]")
        require("dots.entropy_coefficient.delta", self.delta, 0 <= self.delta < math.inf, f"{finite} of 0 or more")
