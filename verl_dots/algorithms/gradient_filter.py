"""DASH: rows whose advantage is next to nothing leave the batch before the update (arXiv 2505.17218, section 3)."""

import numpy as np

KINDS = ("absolute", "quantile")


def kept(advantage_N: np.ndarray, threshold: float, kind: str = "absolute") -> np.ndarray:
    """[N] bool, rows whose |advantage| is above the threshold.

    Args:
        advantage_N: [N] advantages of whole responses.
        threshold: 0 or more. "absolute": itself, so 0 drops the rows without any gradient and nothing else.
            "quantile": in [0, 1), share of the rows that leave; those with the same |advantage| as the last of them
            leave too.

    Raises:
        ValueError: a threshold out of its range, an unknown kind, or an advantage that is not finite.
    """
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}: must be one of {', '.join(KINDS)}")
    if not threshold >= 0 or (kind == "quantile" and threshold >= 1):
        raise ValueError(f"threshold={threshold}: must be 0 or more, and below 1 as a quantile")
    size_N = np.abs(np.asarray(advantage_N, dtype=np.float64))
    if not np.isfinite(size_N).all():
        raise ValueError(f"{int((~np.isfinite(size_N)).sum())} advantages are not finite")
    if kind == "absolute":
        return size_N > threshold
    leaving = int(threshold * len(size_N))
    if leaving == 0:
        return np.ones(len(size_N), dtype=bool)
    return size_N > np.partition(size_N, leaving - 1)[leaving - 1]
