"""Settings of refill: which groups give way to others once their rollouts are there."""

from dataclasses import dataclass

from verl_dots.settings import Settings, require, require_choice

AT_THE_LIMIT = ("train", "raise")


@dataclass(frozen=True)
class RefillConfig(Settings):
    """Refill: groups that teach nothing give way to other questions (dynamic sampling of DAPO, arXiv 2503.14476).

    Attributes:
        enable: roll out further questions of the run's source in place of the groups outside of `within`.
        within: least and greatest success rate of a group that is trained on, e.g. [0.2,0.8]; null for every group
            whose rewards differ.
        max_rounds: times in a step that further questions are rolled out.
        at_the_limit: what is done where these are not enough: "train" on the groups that are there, or "raise".
    """

    enable: bool = False
    within: tuple[float, float] | None = None
    max_rounds: int = 10
    at_the_limit: str = "train"

    def __post_init__(self):
        ordered = self.within is None or 0 <= self.within[0] <= self.within[1] <= 1
        rule = "must be [least, greatest] success rate in [0, 1], or null"
        require("dots.refill.within", self.within and list(self.within), ordered, rule)
        require("dots.refill.max_rounds", self.max_rounds, self.max_rounds >= 1, "must be 1 or more")
        require_choice("dots.refill.at_the_limit", self.at_the_limit, AT_THE_LIMIT)
