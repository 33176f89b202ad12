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
