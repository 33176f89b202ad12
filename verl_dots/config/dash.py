"""Settings of DASH: rows without much of an advantage are left out of the update (arXiv 2505.17218)."""

from dataclasses import dataclass

from verl_dots.settings import Settings, require, require_choice

THRESHOLDS = ("absolute", "quantile")


@dataclass(frozen=True)
class FilterConfig(Settings):
    """DASH's gradient filter.

    Attributes:
        enable: leave rows with a small advantage out of the update.
        threshold: rows whose |advantage| is at most this leave (paper: 0.1). 0 takes those out that have no gradient.
        kind: "absolute", or "quantile": `threshold` is the share of rows that leave.
    """

    enable: bool = False
    threshold: float = 0.0
    kind: str = "absolute"

    def __post_init__(self):
        require_choice("dots.filter.kind", self.kind, THRESHOLDS)
        below = self.kind == "absolute" or self.threshold < 1
        rule = "must be 0 or more" + ("" if self.kind == "absolute" else " and below 1")
        require("dots.filter.threshold", self.threshold, self.threshold >= 0 and below, rule)
