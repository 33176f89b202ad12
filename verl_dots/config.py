"""The config group `dots`: typed, and validated before Ray starts.

Everything else in a run's config is verl's own (see conf/dots_trainer.yaml).
"""

import math
from dataclasses import dataclass, field

from verl_dots.settings import ConfigError, Settings, require, require_choice

PREDICTORS = ("online", "attention")
CONFLICTS = ("drop", "error")
DEVICES = ("cpu", "cuda")
LAYERS = ("last", "all")
READS = ("question", "answer_and_question")
REPLAYED = ("uniform", "nearest", "freshest")
FOLLOWED = ("reward", "schedule", "nothing")
BEHAVIOURS = ("recomputed", "engine")
# Names of GRPO-RR in verl's registries: the advantage and the paper's loss, its decoupled form.
GRPO_RR, GRPO_RR_DECOUPLED = "grpo_rr", "grpo_rr_decoupled"
LOSSES = (GRPO_RR, GRPO_RR_DECOUPLED)


@dataclass(frozen=True)
class SelectionConfig(Settings):
    """DOTS: which questions are rolled out (arXiv 2506.05316, section 3).

    Attributes:
        enable: choose questions by difficulty; off, they come in verl's own order.
        references: K, questions drawn uniformly in every round and rolled out to measure their difficulty.
        alpha: target adaptive difficulty, 1 - mean reward.
        tau: temperature of the draw around `alpha`; 0 takes the nearest questions.
        mu: train batches chosen in one round.
        reuse_references: train on the rollouts of references with mixed outcomes in place of fresh ones (appendix A.1).
        conflicting_answers: what to do with questions that occur with different answers: "drop" leaves them out of
            the selection, "error" refuses the data.
        rho_floor: the predictions are given up for a while when their correlation with the references' measured
            difficulty, over the last `rho_rounds` rounds, is below this. -1 trusts them always.
        rho_rounds: rounds that the correlation is taken over.
        uniform_rounds: further rounds of uniform selection before the predictions get another chance.
    """

    enable: bool = False
    references: int = 256
    alpha: float = 0.5
    tau: float = 1e-3
    mu: int = 2
    reuse_references: bool = True
    conflicting_answers: str = "drop"
    rho_floor: float = 0.1
    rho_rounds: int = 4
    uniform_rounds: int = 4

    def __post_init__(self):
        require("dots.selection.references", self.references, self.references >= 2, "must be 2 or more")
        require("dots.selection.alpha", self.alpha, 0 <= self.alpha <= 1, "must be in [0, 1]")
        require("dots.selection.tau", self.tau, self.tau >= 0, "must be 0 or more")
        require("dots.selection.mu", self.mu, self.mu >= 1, "must be 1 or more")
        require_choice("dots.selection.conflicting_answers", self.conflicting_answers, CONFLICTS)
        require("dots.selection.rho_floor", self.rho_floor, -1 <= self.rho_floor <= 1, "must be in [-1, 1]")
        require("dots.selection.rho_rounds", self.rho_rounds, self.rho_rounds >= 1, "must be 1 or more")
        require("dots.selection.uniform_rounds", self.uniform_rounds, self.uniform_rounds >= 1, "must be 1 or more")


@dataclass(frozen=True)
class DifficultyConfig(Settings):
    """How the difficulty of questions that were not rolled out is predicted.

    Attributes:
        predictor: "online" learns from this run alone; "attention" is the paper's model, trained beforehand with
            `python -m verl_dots.difficulty.train`.
        checkpoint: folder of the attention predictor.
        backbone: model whose frozen embeddings of the questions are the input: a folder or hub id. Any transformers
            model will do; the policy that training starts from is the default.
        layers: whose hidden states are averaged: of the "last" layer, or of "all" side by side (small models). A
            trained predictor knows its own; this is the online one's, as is `reads`.
        reads: what is embedded: the "question", or "answer_and_question".
        cache: folder in which embeddings are kept for later runs.
        device: where embeddings and predictor live: "cpu", or "cuda" for a share of the trainer's first GPU.
        batch_tokens: tokens that the backbone takes at once.
        half_life: age, in train steps, at which an observation counts half for the online predictor.
    """

    predictor: str = "online"
    checkpoint: str | None = None
    backbone: str | None = None
    layers: str = "last"
    reads: str = "question"
    cache: str = "~/.cache/verl_dots/embeddings"
    device: str = "cpu"
    batch_tokens: int = 16384
    half_life: float = 8.0

    def __post_init__(self):
        require_choice("dots.difficulty.predictor", self.predictor, PREDICTORS)
        require_choice("dots.difficulty.layers", self.layers, LAYERS)
        require_choice("dots.difficulty.reads", self.reads, READS)
        require_choice("dots.difficulty.device", self.device, DEVICES)
        require("dots.difficulty.batch_tokens", self.batch_tokens, self.batch_tokens >= 1, "must be 1 or more")
        require("dots.difficulty.half_life", self.half_life, self.half_life > 0, "must be above 0 steps")
        if self.predictor == "attention" and self.checkpoint is None:
            raise ConfigError(
                "dots.difficulty.predictor=attention needs dots.difficulty.checkpoint=FOLDER, a predictor trained with "
                "`python -m verl_dots.difficulty.train`; dots.difficulty.predictor=online needs none"
            )


@dataclass(frozen=True)
class ReplayConfig(Settings):
    """Rollout replay (arXiv 2506.05316, section 4): a part of each train batch is rollouts of earlier steps.

    Attributes:
        enable: keep informative groups and replay them. Needs a loss that corrects for their age, see `LossConfig`.
        delta: share of a batch's questions that are rolled out fresh, in (0, 1]; the others are replayed. What the
            buffer cannot give is rolled out too.
        capacity: C, groups that are kept; the oldest give way.
        max_age: steps after which a group is dropped; null keeps it until it is pushed out.
        sampling: which groups are replayed: "uniform" (the paper's), those of a difficulty "nearest" to
            dots.selection.alpha, or the "freshest".
    """

    enable: bool = False
    delta: float = 0.5
    capacity: int = 256
    max_age: int | None = None
    sampling: str = "uniform"

    def __post_init__(self):
        require("dots.replay.delta", self.delta, 0 < self.delta <= 1, "must be above 0 and at most 1")
        require("dots.replay.capacity", self.capacity, self.capacity >= 1, "must be 1 or more groups")
        require("dots.replay.max_age", self.max_age, self.max_age is None or self.max_age >= 1, "must be 1 or more")
        require_choice("dots.replay.sampling", self.sampling, REPLAYED)


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
        alpha: how sharply the change grows with the reward's distance from `beta`.
        beta: mean reward at which the target stays.
        damping: share of the last steps' reward in the one that the target follows (a moving average); 0 for none.
        coverage: no question comes again before all within this distance of the target had their turn; null repeats
            the nearest, as the paper does.
        follow: what moves the target: the "reward", or a "schedule" that rises evenly from `initial` to the greatest
            over the run; "nothing" draws uniformly. These two are the paper's baselines, with `within` as its filter.
        within: least and greatest difficulty of the questions that are trained on at all; null for all.
    """

    enable: bool = False
    difficulty: str = "extra_info.difficulty"
    range: tuple[float, float] = (0.0, 100.0)
    initial: float = 0.0
    eta: float = 50.0
    alpha: float = 2.0
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
        require("dots.adarft.alpha", self.alpha, self.alpha > 0, "must be above 0")
        require("dots.adarft.damping", self.damping, 0 <= self.damping < 1, "must be in [0, 1)")
        covered = self.coverage is None or self.coverage >= 0
        require("dots.adarft.coverage", self.coverage, covered, "must be 0 or more, or null")
        require_choice("dots.adarft.follow", self.follow, FOLLOWED)
        ordered = self.within is None or self.within[0] <= self.within[1]
        require("dots.adarft.within", self.within, ordered, "must be [least, greatest], or null")


@dataclass(frozen=True)
class LossConfig(Settings):
    """GRPO-RR: the losses actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr and grpo_rr_decoupled.

    Attributes:
        behaviour: log-probs of fresh rollouts under the policy that sampled them: "recomputed" by the trainer, or those
            that the "engine" gave. What is replayed later keeps the same ones.
        truncation: greatest weight proximal / behaviour of a token in grpo_rr_decoupled; null for none.
    """

    behaviour: str = "recomputed"
    truncation: float | None = None

    def __post_init__(self):
        require_choice("dots.loss.behaviour", self.behaviour, BEHAVIOURS)
        positive = self.truncation is None or self.truncation > 0
        require("dots.loss.truncation", self.truncation, positive, "must be above 0, or null for none")


@dataclass(frozen=True)
class DotsConfig(Settings):
    """Settings of verl_dots; with the defaults a run is plain GRPO.

    Attributes:
        seed: of the whole run: order of the data, sampling of responses, mini-batches, selection. The same seed gives
            the same run on a CPU.
        poll_seconds: how often the trainer looks whether the rollouts of a step are complete.
        reward_range: least and greatest reward of a response; difficulty is 1 at the least and 0 at the greatest.
        selection: which questions are rolled out.
        difficulty: how their difficulty is predicted.
        adarft: a target difficulty that follows the reward.
        replay: which earlier rollouts are trained on again.
        loss: how rollouts of older policies are corrected.
    """

    seed: int = 1
    poll_seconds: float = 0.05
    reward_range: tuple[float, float] = (0.0, 1.0)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    difficulty: DifficultyConfig = field(default_factory=DifficultyConfig)
    adarft: AdaRFTConfig = field(default_factory=AdaRFTConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    @property
    def chooses_questions(self) -> bool:
        """Whether the questions of a step come in another order than verl's own."""
        return self.selection.enable or self.adarft.enable or self.replay.enable

    def __post_init__(self):
        require("dots.seed", self.seed, 0 <= self.seed < 2**31, f"must be in 0..{2**31 - 1}")
        require(
            "dots.poll_seconds",
            self.poll_seconds,
            0 < self.poll_seconds <= 60,
            "must be above 0 and at most 60 seconds",
        )
        low, high = self.reward_range
        require("dots.reward_range", [low, high], math.isfinite(high - low) and low < high, "must be [least, greatest]")
