"""The predictor that needs no training beforehand: it learns from what this run has observed.

success rate of question q at step t = sigmoid(x_q . b - c * age) + own_q
    x_q    principal components of the question's frozen embedding, and a constant
    b      ridge-penalised logistic regression on all observed groups, each weighted by its rollouts and halved in
           weight every `half_life` steps: the policy moves on, and this round's references count in full. Half of the
           groups predicted from the other half choose the penalty
    c      the policy's progress per step, fitted with b; an observation's age is 0 for this step
    own_q  the question's own past residuals, weighted alike and shrunk towards 0: what is known of this very question
           beyond its kind. A residual is kept against the fit of its own time, so it moves with the policy's progress

b fits rates of (s k + 1/2) / (k + 1), for k rollouts with a success rate of s. They are nearer to 1/2 than s, however
many groups there are: of a kind of questions that always fails a difficulty of 0.944 is predicted by groups of 8.
0.5 has no such bias, and the order stays.

The expected share e of effective groups of n tries has a regression of its own, on the outcomes as they are:

e = sigmoid(a * (g - mean g) + x_q . w - v * age) + own_q,    g = logit(1 - d^n - (1 - d)^n)
    d      the difficulty that the fit above predicts. e is an inverted U of d, which no line in x_q can be
    a      drawn to 1 by the penalty, as w is to 0: with little to learn from, e is what d implies. Where the outcomes
           say so, w makes it low for a kind of questions that are solved either always or never
    mean g over the observed groups, so that the constant alone holds their share: no bias is left with many groups

A group's own d is from a fit to three quarters of the questions, without its own: a fit that has seen the outcome would
follow it, and promise more than it keeps for other questions.

On the arithmetic testbed, with observations simulated from measured success rates, the logistic form correlated best
with the truth (0.83 against 0.80 of ridge regression on the rates, 0.81 of a Gaussian process in embedding and time,
and 0.71 of nearest neighbours), and selected as well as any. Without c, predictions lag behind the policy: selected
questions turned out 0.11 easier than predicted, with it 0.03, and 63 instead of 59 % of their groups were effective.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from verl_dots.difficulty.components import principal_components
from verl_dots.difficulty.logistic import best_ridge, expit, fit_logistic
from verl_dots.state_values import COUNT, POSITIVE, Values, Within
from verl_dots.step import effective_share

OWN_PRIOR = 8.0  # rollouts of its own at which half of a question's residual is believed
PRIOR = 1.0  # groups of the expected effectiveness before any was observed, half of them effective
LEAST_SHARE = 1e-3  # of effective groups that a difficulty implies, and 1 less it: 0 and 1 have no logit
TREND_SCALE = 0.5  # of ages in half-lives, against the ridge penalty on the progress
FORGOTTEN = 1 / 256  # weight below which an observation is dropped
# The newest are kept, and all of a step's. More cost seconds a round: rho rose by 0.003 from 6,000 to 40,000.
MOST_OBSERVED = 8192
FOLDS = 4
# "expected": the success rate that the fit of its time gives, nan until there is one.
OBSERVED = ("step", "question", "difficulty", "rollouts", "expected", "effective")
RATE = Within(0, 1)
WITHIN = {"step": COUNT, "difficulty": RATE, "rollouts": POSITIVE, "expected": Within(nan=True), "effective": RATE}


class _Fit(NamedTuple):
    ridge: float
    coefficients: np.ndarray


def implied(logit_N: np.ndarray, tries: int) -> np.ndarray:
    """[N] logit of the share of effective groups of `tries` tries, from logits of the success rates [N]."""
    share_N = np.clip(effective_share(expit(logit_N), tries), LEAST_SHARE, 1 - LEAST_SHARE)
    return np.log(share_N / (1 - share_N))


class OnlinePredictor:
    """Difficulty of every question from this run's observations so far.

    Args:
        embedding_P: [P, d] frozen embeddings, perhaps with further parts behind them.
        half_life: steps at which an observation counts half.
        behind: widths of those parts.
    """

    kind = "online"

    def __init__(self, embedding_P: np.ndarray, half_life: float, behind: Sequence[int] = ()):
        self.half_life = half_life
        self.features_P = principal_components(embedding_P, behind=behind)
        self._observed = {name: np.empty(0) for name in OBSERVED}

    def observe(
        self, step: int, question_N: np.ndarray, difficulty_N: np.ndarray, rollouts_N: np.ndarray,
        effective_N: np.ndarray,
    ) -> None:  # fmt: skip
        """Take in groups rolled out in `step`: difficulty, rollouts, and whether the rewards differ, of each."""
        new = {"step": np.full(len(question_N), step), "question": question_N, "difficulty": difficulty_N}
        new |= {"rollouts": rollouts_N, "expected": np.full(len(question_N), np.nan)}
        new |= {"effective": effective_N}
        keep = self._weight(step) > FORGOTTEN
        older = self._observed["step"] < step
        keep &= ~older | (np.arange(len(keep)) >= len(keep) + len(question_N) - MOST_OBSERVED)
        self._observed = {
            name: np.concatenate([self._observed[name][keep], np.asarray(new[name], dtype=np.float64)])
            for name in OBSERVED
        }

    def predict(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Difficulties at the start of `step`, whose references have been observed.

        Returns:
            [P] float32 predicted difficulties, and [K] those of the references predicted without their groups of this
            step (in folds).

        Raises:
            ValueError: nothing was observed yet.
        """
        self._require_observed()
        fit, difficulty_P = self._predict(step, self._all, slice(None))
        held_out_K = self._held_out(step, np.asarray(reference_K), fit)
        expected_N = self._observed["expected"]
        fitted_N = expit(self._design(step, self._all) @ fit.coefficients)
        self._observed["expected"] = np.where(np.isnan(expected_N), fitted_N, expected_N)
        return difficulty_P.astype(np.float32), held_out_K

    def effectiveness(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray, tries: int) -> np.ndarray:
        """[P] float32 expected share of effective groups, of as many tries as the observed groups had.

        See the module. Raises ValueError as `predict` does.
        """
        self._require_observed()
        effective_N, question_N = self._observed["effective"], self._observed["question"].astype(np.int64)
        weight_N, fit = self._weight(step), self._fit(step, self._all)
        implied_N = implied(self._left_out_logits(step, fit), tries)
        middle = np.average(implied_N, weights=weight_N)
        design_N = np.column_stack([implied_N - middle, self._design(step, self._all)])
        towards = np.eye(design_N.shape[1])[0]
        # Outcomes as they are: a share of each would leave a bias that no number of groups removes.
        ridge = best_ridge(design_N, effective_N, weight_N, PRIOR, towards)
        slope, *rest = fit_logistic(design_N, effective_N, weight_N, ridge, prior=PRIOR, towards=towards)
        residual_N = effective_N - expit(design_N @ [slope, *rest])
        implied_P = implied(self._logits(fit.coefficients), tries)
        fitted_P = expit(slope * (implied_P - middle) + self._logits(np.array(rest)))
        rollouts_N = weight_N * self._observed["rollouts"]
        return self._with_own(fitted_P, question_N, residual_N, rollouts_N).astype(np.float32)

    @property
    def _all(self) -> np.ndarray:
        return np.ones(len(self._observed["step"]), dtype=bool)

    def _require_observed(self) -> None:
        if not len(self._observed["step"]):
            raise ValueError("nothing was observed yet: roll out reference questions before predicting")

    def _left_out_logits(self, step: int, whole: _Fit) -> np.ndarray:
        """[N] logit of each group's success rate at its time, by fits without its question; in folds of questions."""
        fold_N = np.unique(self._observed["question"], return_inverse=True)[1] % FOLDS
        design_N, logit_N = self._design(step, self._all), np.zeros(len(fold_N))
        for fold in range(min(FOLDS, fold_N.max() + 1)):
            hidden_N = fold_N == fold
            if not hidden_N.all():  # where there is nothing else to learn from, the middle
                logit_N[hidden_N] = design_N[hidden_N] @ self._fit(step, ~hidden_N, whole).coefficients
        return logit_N

    def _held_out(self, step: int, reference_K: np.ndarray, whole: _Fit) -> np.ndarray:
        """[K] difficulties of the references, fold by fold without that fold's observations of this step.

        The penalty alone is that of the fit to everything: one of four numbers, from hundreds of groups.
        """
        held_out_K = np.empty(len(reference_K))
        for fold in range(min(FOLDS, len(reference_K))):
            place = np.arange(fold, len(reference_K), FOLDS)
            hidden = (self._observed["step"] == step) & np.isin(self._observed["question"], reference_K[place])
            # Where there is nothing else to learn from, the middle.
            held_out_K[place] = 0.5 if hidden.all() else self._predict(step, ~hidden, reference_K[place], whole)[1]
        return held_out_K

    def _predict(
        self, step: int, used: np.ndarray, wanted: np.ndarray | slice, whole: _Fit | None = None
    ) -> tuple[_Fit, np.ndarray]:
        """A fit to some of the observations, and the difficulty of the wanted questions.

        It begins at the fit to all of them, with its penalty, where that is given.
        """
        question_N = self._observed["question"][used].astype(np.int64)
        weight_N = self._weight(step)[used] * self._observed["rollouts"][used]
        fit = self._fit(step, used, whole)
        expected_N = self._observed["expected"][used]
        expected_N = np.where(np.isnan(expected_N), expit(self._design(step, used) @ fit.coefficients), expected_N)
        residual_N = 1 - self._observed["difficulty"][used] - expected_N
        fitted = expit(self._logits(fit.coefficients, wanted))
        return fit, 1 - self._with_own(fitted, question_N, residual_N, weight_N, wanted)

    def _fit(self, step: int, used: np.ndarray, whole: _Fit | None = None) -> _Fit:
        """Of the success rate, to some of the observations; it begins at the fit to all, where that is given."""
        rollouts_N, success_N = self._observed["rollouts"][used], 1 - self._observed["difficulty"][used]
        weight_N, design_N = self._weight(step)[used] * rollouts_N, self._design(step, used)
        # Half a success and half a failure more: rates of 0 and 1 have no logit.
        rate_N = (success_N * rollouts_N + 0.5) / (rollouts_N + 1)
        ridge = whole.ridge if whole else best_ridge(design_N, rate_N, weight_N)
        return _Fit(ridge, fit_logistic(design_N, rate_N, weight_N, ridge, whole.coefficients if whole else None))

    def _logits(self, coefficients: np.ndarray, wanted: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Of the wanted questions, by a fit's features. Without the trend: the age of a prediction is 0."""
        return self.features_P[wanted] @ coefficients[1:].astype(np.float32)

    def _with_own(self, fitted, question_N, residual_N, weight_N, wanted=slice(None)) -> np.ndarray:  # noqa: B008
        """Rates of the wanted questions: what the fit says, and what is left of their own residuals; in [0, 1]."""
        questions = len(self.features_P)
        own_P = np.bincount(question_N, weight_N * residual_N, questions)
        own_P /= np.bincount(question_N, weight_N, questions) + OWN_PRIOR
        return np.clip(fitted + own_P[wanted], 0, 1)

    def _design(self, step: int, used: np.ndarray) -> np.ndarray:
        """[N, w + 2] trend and features of some of the observations, the trend -age in scaled half-lives."""
        age_N = (step - self._observed["step"][used]) / self.half_life
        features_N = self.features_P[self._observed["question"][used].astype(np.int64)]
        return np.column_stack([-TREND_SCALE * age_N, features_N.astype(np.float64)])

    def _weight(self, step: int) -> np.ndarray:
        return 0.5 ** ((step - self._observed["step"]) / self.half_life)

    def state_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "half_life": self.half_life, "observed": dict(self._observed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("online predictor", state, {"kind", "half_life", "observed"})
        saved.same("kind", "dots.difficulty.predictor", self.kind)
        saved.same("half_life", "dots.difficulty.half_life", self.half_life)
        observed = Values("online predictor's observations", saved.raw("observed"), set(OBSERVED))
        length = observed.array("step", np.float64, (None,)).shape
        within = WITHIN | {"question": Within(0, len(self.features_P) - 1)}
        self._observed = {name: observed.array(name, np.float64, length, within[name]) for name in OBSERVED}
