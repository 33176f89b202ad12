"""How well predicted difficulties agree with measured ones."""

import numpy as np


def pearson(predicted_N: np.ndarray, measured_N: np.ndarray) -> float:
    """Pearson correlation of two rows of numbers; nan where one of them is constant or shorter than 2.

    Raises:
        ValueError: the rows differ in length.
    """
    predicted_N, measured_N = _pair(predicted_N, measured_N)
    if len(predicted_N) < 2:
        return float("nan")
    predicted_N = predicted_N - predicted_N.mean()
    measured_N = measured_N - measured_N.mean()
    scale = np.sqrt((predicted_N**2).sum() * (measured_N**2).sum())
    # Rounding leaves a constant row with a spread of this order.
    if scale <= 1e-12 * len(predicted_N):
        return float("nan")
    return float((predicted_N * measured_N).sum() / scale)


def weighted_pearson(predicted_N: np.ndarray, measured_N: np.ndarray, weight_BN: np.ndarray) -> np.ndarray:
    """Pearson correlations [B] under rows of weights [B, N], 0 or more; nan where one side is constant."""
    predicted_N, measured_N = _pair(predicted_N, measured_N)
    weight_BN = weight_BN / weight_BN.sum(1, keepdims=True)
    # Centred once for all rows: what is left of the means cancels without loss of digits.
    predicted_N, measured_N = predicted_N - predicted_N.mean(), measured_N - measured_N.mean()
    columns = np.stack([predicted_N, measured_N, predicted_N**2, measured_N**2, predicted_N * measured_N], 1)
    x_B, y_B, xx_B, yy_B, xy_B = (weight_BN @ columns).T
    scale_B = np.sqrt(np.maximum(xx_B - x_B**2, 0) * np.maximum(yy_B - y_B**2, 0))
    return np.divide(xy_B - x_B * y_B, scale_B, out=np.full(len(scale_B), np.nan), where=scale_B > 1e-12)


def uniform_pearson(predicted_N: np.ndarray, measured_N: np.ndarray, bins: int = 10) -> float:
    """Pearson correlation as if measured values were spread evenly over [0, 1]: each bin that has any weighs alike.

    Correlations depend on the spread of the truth; this one can be compared between sets of questions.
    """
    bin_N = np.clip((np.asarray(measured_N) * bins).astype(int), 0, bins - 1)
    weight_N = 1 / np.bincount(bin_N, minlength=bins)[bin_N]
    return float(weighted_pearson(predicted_N, measured_N, weight_N[None])[0])


def pearson_interval(
    predicted_N: np.ndarray, measured_N: np.ndarray, rng: np.random.Generator, samples: int = 400
) -> tuple[float, float]:
    """Ends of the 95 % interval of the Pearson correlation, by bootstrap over questions."""
    count = len(predicted_N)
    weight_BN = rng.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)
    rho_B = np.nan_to_num(weighted_pearson(predicted_N, measured_N, weight_BN))
    low, high = np.quantile(rho_B, [0.025, 0.975])
    return float(low), float(high)


def calibration_error(predicted_N: np.ndarray, measured_N: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean over questions of |mean predicted - mean measured| in the question's bin.

    The bins are of equal width over [0, 1], by prediction. nan for no questions.

    Raises:
        ValueError: the rows differ in length.
    """
    predicted_N, measured_N = _pair(predicted_N, measured_N)
    if not len(predicted_N):
        return float("nan")
    bin_N = np.clip((predicted_N * bins).astype(int), 0, bins - 1)
    gap_B = np.bincount(bin_N, predicted_N - measured_N, minlength=bins)
    return float(np.abs(gap_B).sum() / len(predicted_N))


def _pair(predicted_N: np.ndarray, measured_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted_N, measured_N = (np.asarray(row, dtype=np.float64).ravel() for row in (predicted_N, measured_N))
    if len(predicted_N) != len(measured_N):
        raise ValueError(f"{len(predicted_N)} predictions for {len(measured_N)} measurements")
    return predicted_N, measured_N
