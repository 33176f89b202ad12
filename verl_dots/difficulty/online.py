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
0.5 has no such bias, and the order stays. The expected effectiveness is fitted to the outcomes, without it.

On the arithmetic testbed, with observations simulated from measured success rates, the logistic form correlated best
with the truth (0.83 against 0.80 of ridge regression on the rates, 0.81 of a Gaussian process in embedding and time,
and 0.71 of nearest neighbours), and selected as well as any. Without c, predictions lag behind the policy: selected
questions turned out 0.11 easier than predicted, with it 0.03, and 63 instead of 59 % of their groups were effective.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from verl_dots.difficulty.logistic import best_ridge, expit, fit_logistic
from verl_dots.state_values import COUNT, POSITIVE, Values, Within

WIDTH = 256  # principal components
SAMPLE = 16384  # questions that they are computed from
OWN_PRIOR = 8.0  # rollouts of its own at which half of a question's residual is believed
PRIOR = 1.0  # groups of the expected effectiveness before any was observed, half of them effective
TREND_SCALE = 0.5  # of ages in half-lives, against the ridge penalty on the progress
FORGOTTEN = 1 / 256  # weight below which an observation is dropped
FOLDS = 4
SHARE = 0.5  # of the squared length of a part behind the embedding and all before it
RARE = 0.05  # least deviation of a column behind the embedding: a mark of 1 in 400 questions weighs no more
# "expected": the success rate that the fit of its time gives, nan until there is one.
OBSERVED = ("step", "question", "difficulty", "rollouts", "expected", "effective")
RATE = Within(0, 1)
WITHIN = {"step": COUNT, "difficulty": RATE, "rollouts": POSITIVE, "expected": Within(nan=True), "effective": RATE}


def principal_components(embedding_P: np.ndarray, width: int = WIDTH, behind: Sequence[int] = ()) -> np.ndarray:
    """Features [P, w + 1] of embeddings [P, d]: leading principal components of the standardised columns, and a 1.

    The components keep their spread, so that a ridge penalty on them is one on the embeddings; together they have a
    mean squared length of 1. w is `width`, or less where the embeddings have less. `behind` are the widths of the
    parts behind the embedding. The last part has `SHARE` of the squared length, however few its columns are, the one
    before it that share of the rest, and the embedding what is left.
    """
    sample = embedding_P[np.linspace(0, len(embedding_P) - 1, min(SAMPLE, len(embedding_P))).astype(int)]
    mean, deviation = sample.mean(0, dtype=np.float64), sample.std(0, dtype=np.float64)
    scale = np.where(deviation > 1e-6 * max(deviation.max(), 1e-30), deviation, np.inf)
    end, left = len(scale), 1.0
    for columns in reversed(behind):
        part, end = slice(end - columns, end), end - columns
        scale[part] = np.maximum(deviation[part], RARE)
        _share_out(scale, deviation, part, SHARE * left)
        left *= 1 - SHARE
    if behind:
        _share_out(scale, deviation, slice(0, end), left)
    standard = (sample - mean) / scale
    spread, axes = np.linalg.eigh(standard.T @ standard / len(sample))
    kept = np.argsort(spread)[::-1][:width]
    kept = kept[spread[kept] > 1e-10 * max(spread.max(), 1e-30)]
    axes = axes[:, kept] / max(np.sqrt(spread[kept].sum()), 1e-30) / scale[:, None]
    features_P = np.empty((len(embedding_P), len(kept) + 1), dtype=np.float32)
    features_P[:, -1] = 1
    for start in range(0, len(embedding_P), SAMPLE):
        features_P[start : start + SAMPLE, :-1] = (embedding_P[start : start + SAMPLE] - mean) @ axes
    return features_P


def _share_out(scale: np.ndarray, deviation: np.ndarray, part: slice, share: float) -> None:
    """Scale some columns so that together they have a squared length of `share`."""
    scale[part] *= np.sqrt(max(((deviation[part] / scale[part]) ** 2).sum(), 1e-30) / share)


class _Fit(NamedTuple):
    ridge: float
    coefficients: np.ndarray


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
        if not len(self._observed["step"]):
            raise ValueError("nothing was observed yet: roll out reference questions before predicting")
        everything = np.ones(len(self._observed["step"]), dtype=bool)
        fit, difficulty_P = self._predict(step, everything, slice(None))
        held_out_K = self._held_out(step, np.asarray(reference_K), fit)
        expected_N = self._observed["expected"]
        fitted_N = expit(self._design(step, everything) @ fit.coefficients)
        self._observed["expected"] = np.where(np.isnan(expected_N), fitted_N, expected_N)
        return difficulty_P.astype(np.float32), held_out_K

    def effectiveness(self, step: int, reference_K: np.ndarray, difficulty_K: np.ndarray, tries: int) -> np.ndarray:
        """[P] float32 expected share of effective groups, of as many tries as the observed groups had.

        The same regression, of whether each observed group was effective. It is fitted apart from the difficulty, so
        that it can be low for a kind of questions that are solved either always or never. Raises ValueError as
        `predict` does.
        """
        if not len(self._observed["step"]):
            raise ValueError("nothing was observed yet: roll out reference questions before predicting")
        everything = np.ones(len(self._observed["step"]), dtype=bool)
        effective_N, question_N = self._observed["effective"], self._observed["question"].astype(np.int64)
        design_N, weight_N = self._design(step, everything), self._weight(step)
        # Outcomes as they are: a share of each would leave a bias that no number of groups removes.
        ridge = best_ridge(design_N, effective_N, weight_N, PRIOR)
        coefficients = fit_logistic(design_N, effective_N, weight_N, ridge, prior=PRIOR)
        residual_N = effective_N - expit(design_N @ coefficients)
        rollouts_N = weight_N * self._observed["rollouts"]
        own = self._with_own(coefficients, question_N, residual_N, rollouts_N, slice(None))
        return own.astype(np.float32)

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
        rollouts_N, success_N = self._observed["rollouts"][used], 1 - self._observed["difficulty"][used]
        weight_N = self._weight(step)[used] * rollouts_N
        design_N = self._design(step, used)
        # Half a success and half a failure more: rates of 0 and 1 have no logit.
        rate_N = (success_N * rollouts_N + 0.5) / (rollouts_N + 1)
        ridge = whole.ridge if whole else best_ridge(design_N, rate_N, weight_N)
        coefficients = fit_logistic(design_N, rate_N, weight_N, ridge, whole.coefficients if whole else None)
        expected_N = self._observed["expected"][used]
        residual_N = success_N - np.where(np.isnan(expected_N), expit(design_N @ coefficients), expected_N)
        return _Fit(ridge, coefficients), 1 - self._with_own(coefficients, question_N, residual_N, weight_N, wanted)

    def _with_own(self, coefficients, question_N, residual_N, weight_N, wanted) -> np.ndarray:
        """Rates of the wanted questions: what the fit says, and what is left of their own residuals; in [0, 1]."""
        questions = len(self.features_P)
        own_P = np.bincount(question_N, weight_N * residual_N, questions)
        own_P /= np.bincount(question_N, weight_N, questions) + OWN_PRIOR
        # Without the trend: the age of the prediction is 0.
        fitted = expit(self.features_P[wanted] @ coefficients[1:].astype(np.float32))
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
