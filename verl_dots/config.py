"""The config group `dots`: typed, and validated before Ray starts.

Everything else in a run's config is verl's own (see conf/dots_trainer.yaml).
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

from verl_dots.difficulty.settings import DifficultyConfig
from verl_dots.methods.adarft.settings import AdaRFTConfig
from verl_dots.methods.dash.settings import FilterConfig, PreemptiveConfig
from verl_dots.methods.e3.settings import BudgetConfig, LengthPenaltyConfig, TemperatureConfig
from verl_dots.methods.entropy_coefficient.settings import EntropyCoefficientConfig
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.methods.refill.settings import RefillConfig
from verl_dots.methods.replay.settings import LossConfig, ReplayConfig
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.methods.stop_early.settings import StopEarlyConfig
from verl_dots.settings import Settings, require, require_choice

LONGEST_SECONDS = 10**9  # timers of Python take nine times as much
MEMORY_GIB = (1, 2**20)  # the kernel takes 2^33
CONSOLES = ("lines", "full")
# Files of conf/preset: the methods, all of them together, and variants of which the papers report.
PRESETS = tuple(sorted(file.stem for file in (Path(__file__).parent / "conf" / "preset").glob("*.yaml")))


@dataclass(frozen=True)
class DotsConfig(Settings):
    """Settings of verl_dots; with the defaults a run is plain GRPO.

    Attributes:
        preset: which method's settings the others began as, see conf/preset.
        console: what a run shows: "lines" (a screen at its start, a line a step, each error once, and all else in
            train.log in the run folder), or "full" (all output of all processes).
        seed: of the whole run: order of the data, sampling of responses, mini-batches, selection. The same seed gives
            the same run on a CPU.
        poll_seconds: between two looks for rollouts at least. A look comes at once when all have ended, and later
            where looking would take more than a tenth of the time. Runs on GPUs begin with 0.5.
        patience_seconds: longest that a run waits without news: for its workers to start, the next group of rollouts, a
            part of a step, a checkpoint. Past it the run ends and says what it waited for. More than the longest group
            takes to be rolled out and scored.
        reward_seconds: longest that rewards may take without one of those asked for being there. Past it these rollouts
            have failed.
        reward_memory_gib: memory of a reward worker, in GiB, at least 1. A reward that would take more raises, and its
            rollout has failed.
        trust_checkpoint: resume from a checkpoint although its files name more than tensors: reading them may run any
            program. Only for one of your own.
        max_failed_share: share of the rollouts of 20 steps that may fail. Groups of which one failed are dropped; above
            this share the run is saved and ends with the first cause.
        reward_range: least and greatest reward of a response; difficulty is 1 at the least and 0 at the greatest.
        selection: which questions are rolled out.
        difficulty: how their difficulty is predicted.
        adarft: a target difficulty that follows the reward.
        mopps: questions by a posterior of each one's success rate.
        budget: how many rollouts each question gets.
        temperature: that they are sampled at.
        entropy_coefficient: of a bonus that holds the entropy.
        length_penalty: what long responses to easy questions are taken off.
        preemptive: how many steps are sampled at once.
        stop_early: which groups get no further rollouts after their first.
        refill: which groups give way to others, once their rollouts are there.
        filter: which rows are left out of the update.
        replay: which earlier rollouts are trained on again.
        loss: how rollouts of older policies are corrected.
    """

    preset: str = "grpo"
    console: str = "lines"
    seed: int = 1
    poll_seconds: float = 0.05
    patience_seconds: float = 3600.0
    reward_seconds: float = 600.0
    reward_memory_gib: float = 32.0
    trust_checkpoint: bool = False
    max_failed_share: float = 0.01
    reward_range: tuple[float, float] = (0.0, 1.0)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)
    adarft: AdaRFTConfig = field(default_factory=AdaRFTConfig)
    mopps: MoPPSConfig = field(default_factory=MoPPSConfig)
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    entropy_coefficient: EntropyCoefficientConfig = field(default_factory=EntropyCoefficientConfig)
    length_penalty: LengthPenaltyConfig = field(default_factory=LengthPenaltyConfig)
    preemptive: PreemptiveConfig = field(default_factory=PreemptiveConfig)
    stop_early: StopEarlyConfig = field(default_factory=StopEarlyConfig)
    refill: RefillConfig = field(default_factory=RefillConfig)
    filter: FilterConfig = field(default_factory=FilterConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self):
        require_choice("dots.preset", self.preset, PRESETS)
        require_choice("dots.console", self.console, CONSOLES)
        require("dots.seed", self.seed, 0 <= self.seed < 2**31, f"must be in 0..{2**31 - 1}")
        require(
            "dots.poll_seconds",
            self.poll_seconds,
            0 < self.poll_seconds <= 60,
            "must be above 0 and at most 60 seconds",
        )
        for name in ("patience_seconds", "reward_seconds"):
            rule = f"must be above 0 and at most {LONGEST_SECONDS} seconds"
            require(f"dots.{name}", getattr(self, name), 0 < getattr(self, name) <= LONGEST_SECONDS, rule)
        low, high = MEMORY_GIB
        rule = f"must be in {low}..{high} GiB; a reward worker takes half of one before its first reward"
        require("dots.reward_memory_gib", self.reward_memory_gib, low <= self.reward_memory_gib <= high, rule)
        share = self.max_failed_share
        require("dots.max_failed_share", share, 0 <= share <= 1, "must be a share in 0..1")
        low, high = self.reward_range
        require("dots.reward_range", [low, high], math.isfinite(high - low) and low < high, "must be [least, greatest]")
