"""Settings of E3: rollouts by difficulty, a temperature that holds the entropy, shorter answers (arXiv 2505.18573)."""

from dataclasses import dataclass

from verl_dots.settings import Settings, require, require_choice

RANKED = ("reward", "predicted")
REMAINDERS = ("hardest", "spread")
MEASURED = ("recomputed", "engine")
RENEWED = ("epoch", "step")


@dataclass(frozen=True)
class BudgetConfig(Settings):
    """E3's budget: more rollouts for hard questions, actor_rollout_ref.rollout.n on average.

    Attributes:
        enable: distribute the rollouts of a batch by difficulty; off, each question has n.
        least, most: rollouts of a question once the caps are at their widest.
        widen: by how much the caps widen with each epoch, from (n, n); null for the widest at once, where ranks are
            predicted and need no epoch to be known.
        by: what ranks the questions: their mean "reward" so far, or the difficulty that is "predicted". The latter is
            dots.selection's, of use where that selects widely (a great dots.selection.tau): those near a target are
            predicted alike.
        remainder: what shares by rank, rounded down, leave: it fills the "hardest" up (as published), or is "spread".
            The hardest question gets it up to its cap, then the next; spread, it is shared out by rank again.
    """

    enable: bool = False
    least: int = 4
    most: int = 12
    widen: int | None = 2
    by: str = "reward"
    remainder: str = "hardest"

    def __post_init__(self):
        require("dots.budget.least", self.least, self.least >= 1, "must be 1 or more")
        require("dots.budget.most", self.most, self.most >= self.least, f"must be least={self.least} or more")
        require("dots.budget.widen", self.widen, (self.widen or 0) >= 0, "must be 0 or more, or null")
        require_choice("dots.budget.by", self.by, RANKED)
        require_choice("dots.budget.remainder", self.remainder, REMAINDERS)


@dataclass(frozen=True)
class TemperatureConfig(Settings):
    """E3's temperature: rises where the policy's entropy is below its target, falls where it is above.

    Attributes:
        enable: control the temperature; off, it stays actor_rollout_ref.rollout.temperature, where it begins.
        target: entropy of a token in nats; null takes the mean of the first `warm_up` steps.
        warm_up: steps that the temperature stays where it begins, while the target is measured.
        entropy: how a step's is measured, over its own rollouts at their temperature: "recomputed" by the trainer from
            the whole distribution of each token, or the mean -log-prob of the tokens that the "engine" drew: right on
            average, and no forward pass is needed for it.
        damping: share of the last steps' entropy in the one that the temperature follows (a moving average, as the
            entropy of a step of few questions depends on which they are); 0 for none.
        low, high: bounds of the temperature.
        anneal_from: share of the run after which the target falls along a half cosine; null for never (paper: 0.6).
        anneal_to: share of the target at the end of the run (paper: 0.9).
    """

    enable: bool = False
    target: float | None = None
    warm_up: int = 1
    entropy: str = "recomputed"
    damping: float = 0.0
    low: float = 0.5
    high: float = 1.5
    anneal_from: float | None = None
    anneal_to: float = 0.9

    def __post_init__(self):
        given = self.target is None or self.target > 0
        require("dots.temperature.target", self.target, given, "must be above 0 nats, or null")
        require("dots.temperature.warm_up", self.warm_up, self.warm_up >= 1, "must be 1 or more steps")
        require_choice("dots.temperature.entropy", self.entropy, MEASURED)
        require("dots.temperature.damping", self.damping, 0 <= self.damping < 1, "must be in [0, 1)")
        rule = f"must be above 0 and at most high={self.high:g}"
        require("dots.temperature.low", self.low, 0 < self.low <= self.high, rule)
        inside = self.anneal_from is None or 0 <= self.anneal_from < 1
        require("dots.temperature.anneal_from", self.anneal_from, inside, "must be in [0, 1) of the run, or null")
        require("dots.temperature.anneal_to", self.anneal_to, 0 <= self.anneal_to <= 1, "must be in [0, 1]")


@dataclass(frozen=True)
class LengthPenaltyConfig(Settings):
    """E3's length penalty: of right responses to easy questions the shorter ones are better.

    Attributes:
        enable: take from the reward of a right response of l tokens the share b = s l / (1 + s l), s = `strength`.
        easiest: share of the questions, those with the highest cumulative mean reward, that it is for.
        strength: per token; at l = 1 / strength half of the reward is left.
        ranked: when the easiest are named anew: after each "epoch" (as published), or before each "step". In the first
            epoch there is then no penalty; by step it begins at once, for runs of fewer rollouts than an epoch has.
    """

    enable: bool = False
    easiest: float = 0.1
    strength: float = 0.001
    ranked: str = "epoch"

    def __post_init__(self):
        require("dots.length_penalty.easiest", self.easiest, 0 < self.easiest <= 1, "must be above 0 and at most 1")
        require("dots.length_penalty.strength", self.strength, self.strength > 0, "must be above 0")
        require_choice("dots.length_penalty.ranked", self.ranked, RENEWED)
