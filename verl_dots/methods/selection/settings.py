"""Settings of DOTS: which questions are rolled out."""

from dataclasses import dataclass

from verl_dots.settings import Settings, require, require_choice

CONFLICTS = ("drop", "error")
SCORES = ("difficulty", "effectiveness")


@dataclass(frozen=True)
class SelectionConfig(Settings):
    """DOTS: which questions are rolled out (arXiv 2506.05316, section 3).

    Attributes:
        enable: choose questions by difficulty; off, they come in verl's own order.
        references: K, questions drawn uniformly in every round and rolled out to measure their difficulty. 0 for none:
            the online predictor then learns from the rollouts of training alone.
        explore: with references=0, share of the questions that a step rolls out which are drawn uniformly; the
            correlation that `rho_floor` asks for is taken over these.
        score: what questions are drawn by: "difficulty", as in the paper, or "effectiveness", the expected share e of
            groups whose rewards differ. The weight is exp(-|difficulty - alpha| / tau) or exp(-(1 - e) / tau). A
            predicted difficulty near alpha may also mean that nothing is known.
        alpha: target adaptive difficulty, 1 - mean reward. With score=effectiveness it only orders the references that
            are reused.
        tau: temperature of the draw; 0 takes the nearest questions, or the most effective. With score=effectiveness a
            question whose e is lower by tau is drawn 2.7 times less often: 0.001 nearly takes the best, 0.05 is a draw.
        mu: train batches chosen in one round; one prediction for all of them, each at the target of its own step.
        references_are_candidates: choose among the references as well, by their measured difficulty; off, only where
            there are too few others.
        reuse_references: train on the rollouts of references with mixed outcomes in place of fresh ones (appendix A.1).
        conflicting_answers: what to do with questions that occur with different answers: "drop" leaves them out of
            the selection, "error" refuses the data.
        rho_floor: least correlation of the references' predicted and measured difficulty; where that of the last
            `rho_rounds` rounds is less, the predictions are given up for a while. -1 trusts them always.
        rho_rounds: rounds that the correlation is taken over.
        uniform_start: rounds of uniform selection, without references, before the first predictions. The online
            predictor learns from what they roll out; few references alone teach it too little. A predictor trained
            beforehand needs none.
        uniform_rounds: further rounds of uniform selection before the predictions get another chance.
    """

    enable: bool = False
    references: int = 256
    explore: float = 0.1
    score: str = "difficulty"
    alpha: float = 0.5
    tau: float = 1e-3
    mu: int = 2
    references_are_candidates: bool = False
    reuse_references: bool = True
    conflicting_answers: str = "drop"
    rho_floor: float = 0.1
    rho_rounds: int = 4
    uniform_start: int = 0
    uniform_rounds: int = 4

    def __post_init__(self):
        possible = self.references >= 2 or self.references == 0
        require("dots.selection.references", self.references, possible, "must be 2 or more, or 0 for none")
        require("dots.selection.explore", self.explore, 0 < self.explore < 1, "must be a share above 0 and below 1")
        require_choice("dots.selection.score", self.score, SCORES)
        require("dots.selection.alpha", self.alpha, 0 <= self.alpha <= 1, "must be in [0, 1]")
        require("dots.selection.tau", self.tau, self.tau >= 0, "must be 0 or more")
        require("dots.selection.mu", self.mu, self.mu >= 1, "must be 1 or more")
        require_choice("dots.selection.conflicting_answers", self.conflicting_answers, CONFLICTS)
        require("dots.selection.rho_floor", self.rho_floor, -1 <= self.rho_floor <= 1, "must be in [-1, 1]")
        require("dots.selection.rho_rounds", self.rho_rounds, self.rho_rounds >= 1, "must be 1 or more")
        require("dots.selection.uniform_start", self.uniform_start, self.uniform_start >= 0, "must be 0 or more")
        require("dots.selection.uniform_rounds", self.uniform_rounds, self.uniform_rounds >= 1, "must be 1 or more")
