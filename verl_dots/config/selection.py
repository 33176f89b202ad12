"""Settings of DOTS: which questions are rolled out, and how their difficulty is predicted."""

from dataclasses import dataclass

from verl_dots.settings import ConfigError, Settings, require, require_choice

PREDICTORS = ("online", "attention")
CONFLICTS = ("drop", "error")
DEVICES = ("cpu", "cuda")
LAYERS = ("last", "all")
READS = ("question", "answer_and_question")


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
        require("dots.difficulty.cache", repr(self.cache), bool(self.cache.strip()), "must be a folder")
        require("dots.difficulty.batch_tokens", self.batch_tokens, self.batch_tokens >= 1, "must be 1 or more")
        require("dots.difficulty.half_life", self.half_life, self.half_life > 0, "must be above 0 steps")
        if self.predictor == "attention" and self.checkpoint is None:
            raise ConfigError(
                "dots.difficulty.predictor=attention needs dots.difficulty.checkpoint=FOLDER, a predictor trained with "
                "`python -m verl_dots.difficulty.train`; dots.difficulty.predictor=online needs none"
            )
