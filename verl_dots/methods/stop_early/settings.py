"""Settings of stopping early: how many rollouts come first, and when a question needs no others."""

from dataclasses import dataclass

from verl_dots.settings import Settings, require


@dataclass(frozen=True)
class StopEarlyConfig(Settings):
    """Stop early: the second half of a question's rollouts comes only where the first leaves it open.

    Attributes:
        enable: roll out a part of each question's rollouts; the rest only where rewards may still differ.
        first: share of a question's rollouts that come first, rounded up to two rollouts or more.
        confidence: probability, that the rest turns out as all of the first, at which a question stops. A prediction
            of its difficulty enters; a question without one never stops.
        strength: rollouts that a prediction of difficulty counts as. With less, first rollouts that are alike weigh
            more. At 1 a prediction of 0.5 stops one, too.
        audit: share of the stopping questions that are rolled out in whole; it tells how many stop wrongly.
        elsewhere: roll out further questions of the run's source with the rollouts that are saved.
    """

    enable: bool = False
    first: float = 0.5
    confidence: float = 0.7
    strength: float = 4.0
    audit: float = 0.1
    elsewhere: bool = True

    def __post_init__(self):
        require("dots.stop_early.first", self.first, 0 < self.first < 1, "must be a share above 0 and below 1")
        within = 0.5 <= self.confidence <= 1
        require("dots.stop_early.confidence", self.confidence, within, "must be a probability in 0.5..1")
        require("dots.stop_early.strength", self.strength, self.strength > 0, "must be above 0")
        require("dots.stop_early.audit", self.audit, 0 <= self.audit <= 1, "must be a share in 0..1")
