"""DASH: rows whose advantage is next to nothing leave the batch before the update (arXiv 2505.17218, section 3)."""

import math
from dataclasses import dataclass

import numpy as np

KINDS = ("absolute", "quantile")


def kept(
    advantage_N: np.ndarray, threshold: float, kind: str = "absolute", rng: np.random.Generator | None = None
) -> np.ndarray:
    """[N] bool, rows whose |advantage| is above the threshold.

    Args:
        advantage_N: [N] advantages of whole responses.
        threshold: 0 or more. "absolute": itself, so 0 drops the rows without any gradient and nothing else.
            "quantile": in [0, 1), share of the rows that leave: floor(threshold * N) rows, those with the smallest
            |advantage|, never more.
        rng: draws among rows of the same |advantage| where not all of them leave; None takes the first of them.

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
    tie_N = np.arange(len(size_N)) if rng is None else rng.permutation(len(size_N))
    kept_N = np.ones(len(size_N), dtype=bool)
    # 0.29 * 100 is 28.999999999999996: the product of what is written is meant.
    kept_N[np.lexsort((tie_N, size_N))[: math.floor(threshold * len(size_N) + 1e-9)]] = False
    return kept_N


def balanced(
    advantage_N: np.ndarray, group_N: np.ndarray, kept_N: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Of each group as many rows above its mean as below: all of the rarer side, and that many drawn of the other.

    PODS (arXiv 2504.13818) trains on the part of the rollouts whose rewards vary most. Here the part is drawn: each of
    the M rows of a side stays with probability m / M and counts M / m times, so the expectation of the sum over rows of
    weight * advantage * anything of the row is that of all rows.

    Args:
        advantage_N: [N] advantages of whole responses, of which the sign is the side. 0 is on neither side.
        group_N: [N] int64, rollouts of one question share a number. The draws are in the order of these numbers.
        kept_N: [N] bool, rows that may stay; the others are on neither side.
        rng: draws the rows of the larger side that stay.

    Returns:
        [N] bool, rows that stay, and [N] their weights: M / m where m of M were drawn, else 1. A group with one side
        alone, or with two equal ones, is as it was.
    """
    kept_N, weight_N = kept_N.copy(), np.ones(len(kept_N))
    order_N = np.argsort(group_N, kind="stable")
    for places in np.split(order_N, np.flatnonzero(np.diff(group_N[order_N])) + 1):
        inside = places[kept_N[places]]
        sides = (inside[advantage_N[inside] > 0], inside[advantage_N[inside] < 0])
        rarer, larger = sorted(sides, key=len)
        if 0 < len(rarer) < len(larger):
            kept_N[larger] = False
            drawn = rng.choice(larger, len(rarer), replace=False)
            kept_N[drawn], weight_N[drawn] = True, len(larger) / len(rarer)
    return kept_N, weight_N


@dataclass(frozen=True)
class Reduced:
    """A batch without the rows that a filter takes out, cut as the whole one is.

    Attributes:
        places: [M] int64, rows that stay, in the order in which ranks and mini-batches take them.
        fillers: [M] bool, rows that stay for their number only; their advantage must count as 0.
        tokens: [M] int64, tokens that counted in the row's mini-batch before any row left.
        rows: rows of a mini-batch of one rank, 1 or more: a mini-batch without any row that counts has fillers alone.
            Its gradient is 0, and momentum, weight decay and schedule act as they would have.
    """

    places: np.ndarray
    fillers: np.ndarray
    tokens: np.ndarray
    rows: int


def reduce_mini_batches(
    kept_N: np.ndarray, length_N: np.ndarray, tokens_N: np.ndarray, ranks: int, mini_batches: int, multiple: int = 1
) -> Reduced:
    """Take rows out of each mini-batch, so that every optimizer step sees what it would have seen, less those rows.

    Each rank has an equal part of the batch, one behind the other, and cuts it into equal mini-batches. They stay
    equal: where one has fewer rows left than another, its shortest of those that leave stay as fillers.

    Args:
        kept_N: [N] bool.
        length_N: [N] tokens of each row, prompt and response.
        tokens_N: [N] tokens of each row that count in the loss.
        ranks, mini_batches: that N divides into.
        multiple: of which the rows of a mini-batch of one rank must be (its micro-batch).

    Raises:
        ValueError: N does not divide.
    """
    N = len(kept_N)
    if N % (ranks * mini_batches):
        raise ValueError(f"{N} rows do not divide into {mini_batches} mini-batches on {ranks} ranks")
    place_RUn = np.arange(N).reshape(ranks, mini_batches, -1)
    most = max(1, int(kept_N[place_RUn].sum(axis=2).max()))
    rows = min(-(-most // multiple) * multiple, place_RUn.shape[2])
    cuts = [(rank, update) for rank in range(ranks) for update in range(mini_batches)]
    chosen = np.concatenate([_shortest_fill(place_RUn[cut], kept_N, length_N, rows) for cut in cuts])
    tokens = [int(tokens_N[place_RUn[:, update]].sum()) for _, update in cuts]
    return Reduced(chosen, ~kept_N[chosen], np.repeat(np.array(tokens, dtype=np.int64), rows), rows)


def _shortest_fill(place_n: np.ndarray, kept_N: np.ndarray, length_N: np.ndarray, rows: int) -> np.ndarray:
    """`rows` of some places in their order: those that stay, and the shortest of the others."""
    leaving = place_n[~kept_N[place_n]]
    fillers = leaving[np.argsort(length_N[leaving], kind="stable")][: rows - int(kept_N[place_n].sum())]
    return np.sort(np.concatenate([place_n[kept_N[place_n]], fillers]))
