"""Logistic regression on rates, and the penalty that suits the data."""

import numpy as np

RIDGES = (16.0, 4.0, 1.0, 1 / 16)  # in the unit of the weights; features have a mean squared length of 1
NEWTON_STEPS = 30


def expit(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def fit_logistic(
    features_N: np.ndarray,
    rate_N: np.ndarray,
    weight_N: np.ndarray,
    ridge: float,
    start: np.ndarray | None = None,
    prior: float = 0.0,
    towards: np.ndarray | None = None,
) -> np.ndarray:
    """Coefficients [w + 1] of a logistic regression on rates, by Newton's method with step halving.

    Minimises sum_i weight_i * cross-entropy(rate_i, sigmoid(x_i . b)) + ridge / 2 * |b - towards|^2, in which the
    last of b does not count; the last feature is the constant.

    Args:
        features_N: [N, w + 1] float64.
        rate_N: [N] success rates in (0, 1); with a prior in [0, 1].
        weight_N: [N] weights above 0.
        start: coefficients to begin at.
        prior: weight of one more observation, of the constant alone at a rate of 1/2. Without it rates that are all 0
            or all 1 have no finite fit; beside many it is nothing.
        towards: [w + 1] coefficients that the penalty draws to; None for 0.
    """
    if prior:
        features_N = np.vstack([features_N, np.eye(features_N.shape[1])[-1]])
        rate_N, weight_N = np.append(rate_N, 0.5), np.append(weight_N, prior)
    penalty = np.full(features_N.shape[1], ridge)
    penalty[-1] = 0.0
    towards = np.zeros(features_N.shape[1]) if towards is None else towards

    def loss(b: np.ndarray) -> float:
        eta_N = features_N @ b
        return float(
            (weight_N * (np.logaddexp(0, eta_N) - rate_N * eta_N)).sum() + 0.5 * (penalty * (b - towards) ** 2).sum()
        )

    b = (towards if start is None else start).copy()
    if start is None:
        mean = np.average(rate_N, weights=weight_N)
        b[-1] = np.log(mean / (1 - mean))
    now = loss(b)
    for _ in range(NEWTON_STEPS):
        p_N = expit(features_N @ b)
        gradient = features_N.T @ (weight_N * (p_N - rate_N)) + penalty * (b - towards)
        hessian = features_N.T @ ((weight_N * p_N * (1 - p_N))[:, None] * features_N) + np.diag(penalty + 1e-9)
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while (then := loss(b - size * step)) > now and size > 1e-4:
            size /= 2
        if then >= now:
            break
        gained, b, now = now - then, b - size * step, then
        if gained < 1e-10 * abs(now):
            break
    return b


def best_ridge(
    features_N: np.ndarray,
    rate_N: np.ndarray,
    weight_N: np.ndarray,
    prior: float = 0.0,
    towards: np.ndarray | None = None,
) -> float:
    """That of `RIDGES` under which each half of the rows, every other one, is best predicted from the other half.

    A few hundred groups of real questions need a penalty 100 times that of questions whose embedding says all.
    """
    halves = [np.arange(len(rate_N)) % 2 == half for half in (0, 1)]
    start: list[np.ndarray | None] = [None, None]

    def held_out_loss(ridge: float) -> float:
        loss = 0.0
        for half, row_N in enumerate(halves):
            b = fit_logistic(features_N[~row_N], rate_N[~row_N], weight_N[~row_N], ridge, start[half], prior, towards)
            start[half], eta_N = b, features_N[row_N] @ b
            loss += float((weight_N[row_N] * (np.logaddexp(0, eta_N) - rate_N[row_N] * eta_N)).sum())
        return loss

    return min(RIDGES, key=held_out_loss) if len(rate_N) >= 4 else RIDGES[0]
