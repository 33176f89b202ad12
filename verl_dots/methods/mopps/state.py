"""MoPPS: the posterior of every question's success rate, and the questions of a step by it; seeded, without I/O."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from verl_dots.difficulty.agreement import pearson
from verl_dots.methods.damping import damped
from verl_dots.methods.mopps.rule import capability, evidence, fused, interpolated, mean_success, posterior, thompson
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.state_values import POSITIVE, Values


class MoPPSState:
    """The posteriors of one run, and the choice by them.

    Args:
        settings: of MoPPS.
        questions: P, how many there are to choose from.
        fresh: questions of a step.
        rng: draws the candidates and their success rates; its state is part of this one's.
        reference_P2: [P, 2] success rates of a weaker and a stronger reference model, for BOTS's form; None without.

    Raises:
        ValueError: fewer questions than a step needs, reference success rates of another shape or outside [0, 1].
    """

    def __init__(
        self,
        settings: MoPPSConfig,
        questions: int,
        fresh: int,
        rng: np.random.Generator,
        reference_P2: np.ndarray | None = None,
    ):
        if fresh > questions:
            raise ValueError(
                f"a step needs {fresh} questions and the data have {questions}; lower data.train_batch_size or add data"
            )
        self.settings, self.questions, self.fresh, self.rng = settings, questions, fresh, rng
        self._reference_P2 = None if reference_P2 is None else _checked(reference_P2, questions)
        self._counts_P2 = np.tile(np.array(settings.prior, dtype=np.float64), (questions, 1))
        self._measured_P = np.zeros(questions, dtype=bool)
        self._capability: float | None = None  # place of the policy between the reference models

    def planned(self, target: float) -> np.ndarray:
        """[fresh] questions of this step, the nearest to the target difficulty among the candidates."""
        return self.top_up(self.fresh, (), target)

    def top_up(self, count: int, exclude: Collection[int], target: float) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""
        free = np.setdiff1d(np.arange(self.questions), list(exclude))
        count = min(count, len(free))
        if self.settings.candidates is not None:
            free = self.rng.permutation(free)[: self.settings.candidates * count]
        return free[thompson(self._counts_P2[free], target, count, self.rng)]

    def predicted(self, questions_N: np.ndarray) -> np.ndarray:
        """[N] difficulty, 1 - mean of the posterior."""
        return 1 - mean_success(self._counts_P2[questions_N])

    def measured(self, questions_N: np.ndarray) -> np.ndarray:
        """[N] bool, which have been measured."""
        return self._measured_P[questions_N]

    @property
    def covered(self) -> float:
        """Share of the questions that have been measured."""
        return float(self._measured_P.mean())

    def observe(self, questions_N: np.ndarray, success_N: np.ndarray, rollouts_N: np.ndarray) -> dict[str, float]:
        """Take in what the rollouts of a step showed, and return its figures.

        Args:
            questions_N: that were rolled out, at least one; one that comes twice counts with all its rollouts.
            success_N: mean reward of each, 0 at the least of dots.reward_range and 1 at the greatest.
            rollouts_N: of each, 1 or more.

        Returns:
            Mean difficulty as predicted before and as measured, their Pearson correlation, share of the questions that
            have been measured, and the place between the reference models; those that are defined.

        Raises:
            ValueError: rows of different lengths, a success rate outside [0, 1], or a question without rollouts.
        """
        evidence_N2, predicted_N = evidence(success_N, rollouts_N), self.predicted(questions_N)
        rho = pearson(predicted_N, 1 - success_N)
        evidence_P2 = np.zeros((self.questions, 2))
        np.add.at(evidence_P2, questions_N, evidence_N2)
        self._measured_P[questions_N] = True
        self._update(questions_N, success_N, float(rollouts_N.mean()), evidence_P2)
        figures = {
            "predicted_difficulty": predicted_N.mean(),
            "measured_difficulty": 1 - success_N.mean(),
            "rho": rho,
            "covered": self.covered,
            "capability": np.nan if self._capability is None else self._capability,
        }
        return {name: float(value) for name, value in figures.items() if np.isfinite(value)}

    def _update(self, questions_N: np.ndarray, success_N: np.ndarray, rollouts: float, evidence_P2: np.ndarray) -> None:
        prior, memory = self.settings.prior, self.settings.memory
        if self._reference_P2 is None:  # MoPPS: what is not measured stays as it is
            touched = np.unique(questions_N)
            self._counts_P2[touched] = posterior(self._counts_P2[touched], evidence_P2[touched], prior, memory)
            return
        now = capability(success_N, self._reference_P2[questions_N])
        if now is not None:
            self._capability = damped(self._capability, now, self.settings.damping)
        if self._capability is not None:
            estimate_P = interpolated(self._reference_P2, self._capability)
            evidence_P2 = fused(evidence_P2, estimate_P, rollouts, self.settings.implicit)
        self._counts_P2 = posterior(self._counts_P2, evidence_P2, prior, memory)

    def state_dict(self) -> dict[str, Any]:
        return {
            "questions": self.questions,
            "fresh": self.fresh,
            "reference": self._reference_P2 is not None,
            "counts": self._counts_P2.copy(),
            "measured": self._measured_P.copy(),
            "capability": self._capability,
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("MoPPS", state, set(self.state_dict()))
        saved.same("questions", "questions to choose from", self.questions)
        saved.same("fresh", "fresh questions of a step", self.fresh)
        saved.same("reference", "success rates of dots.mopps.reference", self._reference_P2 is not None)
        counts_P2 = saved.array("counts", np.float64, (self.questions, 2), POSITIVE)
        measured_P = saved.array("measured", bool, (self.questions,))
        capability = saved.number("capability") if saved.given("capability") else None
        self.rng.bit_generator.state = saved.generator("rng", self.rng)
        self._counts_P2, self._measured_P, self._capability = counts_P2, measured_P, capability


def _checked(reference_P2: np.ndarray, questions: int) -> np.ndarray:
    reference_P2 = np.asarray(reference_P2, dtype=np.float64)
    if reference_P2.shape != (questions, 2):
        raise ValueError(f"reference success rates have shape {reference_P2.shape}; it must be {(questions, 2)}")
    inside = ((reference_P2 >= 0) & (reference_P2 <= 1)).all(axis=1)
    if not inside.all():
        first = int(np.flatnonzero(~inside)[0])
        raise ValueError(
            f"{(~inside).sum()} questions have success rates outside [0, 1] in dots.mopps.reference, the first is "
            f"question {first} with {reference_P2[first].tolist()}; a difficulty is no success rate"
        )
    return reference_P2
