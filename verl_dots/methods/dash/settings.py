"""Settings of DASH: preemptive sampling, and rows without much of an advantage left out (arXiv 2505.17218)."""

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
        early: leave them out of the forward passes of the proximal and the reference policy, too, where advantages
            follow from the rewards alone; actor/entropy is then that of the rows that stay.
        balanced: of each group keep as many rows above its mean reward as below; those of the larger side are drawn and
            weighted for the ones that leave, so that the expected gradient is that of all rows.
    """

    enable: bool = False
    threshold: float = 0.0
    kind: str = "absolute"
    early: bool = True
    balanced: bool = False

    def __post_init__(self):
        require_choice("dots.filter.kind", self.kind, THRESHOLDS)
        below = self.kind == "absolute" or self.threshold < 1
        rule = "must be 0 or more" + ("" if self.kind == "absolute" else " and below 1")
        require("dots.filter.threshold", self.threshold, self.threshold >= 0 and below, rule)


@dataclass(frozen=True)
class PreemptiveConfig(Settings):
    """DASH's preemptive sampling: the questions of several steps are rolled out at once.

    Generation is fastest with many requests, the update best with few rows and a fresh policy. A step trains on
    B = data.train_batch_size questions, in micro-batches by actor.ppo_max_token_len_per_gpu.

    Attributes:
        enable: roll out M questions at once, and train on B of them in each of the K steps that follow.
        prompts: M, a multiple of B; null for B.
        updates: K, steps that are made of them, a multiple of M / B; each batch is used as often as the others. Null
            for M / B, each once. The paper: M = B = 256 and K = 1; "Multi" K = 3; "Mini" B = 8, M = 256, K = 32.
    """

    enable: bool = False
    prompts: int | None = None
    updates: int | None = None

    def __post_init__(self):
        positive = self.prompts is None or self.prompts >= 1
        require("dots.preemptive.prompts", self.prompts, positive, "must be 1 or more questions, or null")
        positive = self.updates is None or self.updates >= 1
        require("dots.preemptive.updates", self.updates, positive, "must be 1 or more steps, or null")

    def batches(self, batch_size: int) -> int:
        """M / B, batches that are sampled at once."""
        return (self.prompts or batch_size) // batch_size

    def passes(self, batch_size: int) -> int:
        """How often each batch is trained on."""
        return (self.updates or self.batches(batch_size)) // self.batches(batch_size)

    def off_policy(self, batch_size: int) -> bool:
        """Whether a step trains on rollouts of an earlier one."""
        return self.enable and self.batches(batch_size) * self.passes(batch_size) > 1
