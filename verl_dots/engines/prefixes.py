"""Rows of tokens laid out so that what they begin with alike is computed once: prompts of a group, equal beginnings.

Rows that share a prompt become branches of one tree. A token sees the tokens before it in its own row alone, so a
causal model computes for it what it computes for the row by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A pair of positions of the mask costs more than its multiplications: the softmax reads and writes it several times.
PAIR_WEIGHT = 4


@dataclass(frozen=True)
class Costs:
    """Multiplications of a model's forward pass.

    Attributes:
        token: for one token, in its matrices.
        pair: for one pair of tokens, in the attention of all layers.
    """

    token: float
    pair: float

    def of(self, bins: int, length: int) -> float:
        """For `bins` rows of `length` tokens with their masks."""
        return bins * length * (self.token + PAIR_WEIGHT * self.pair * length)


@dataclass(frozen=True)
class Layout:
    """Rows as trees, in bins that the model sees as its batch.

    Attributes:
        ids: [bins, length] int64, padded with zeros.
        positions: [bins, length] int64: of each token in its row; padding has 0.
        mask: [bins, length, length] bool: what each token sees, itself among it; padding sees itself alone.
        places: [tokens of all rows] int64: where the token of a row stands in `ids`, flattened; in the order given.
    """

    ids: np.ndarray
    positions: np.ndarray
    mask: np.ndarray
    places: np.ndarray


def shared(rows: Sequence[np.ndarray], costs: Costs) -> Layout | None:
    """The cheapest layout of rows [length] int64 each, or None where each row by itself, padded, is no dearer."""
    order = sorted(range(len(rows)), key=lambda index: rows[index].tobytes())
    ordered = [rows[index] for index in order]
    common = [0, *(_common(one, other) for one, other in zip(ordered, ordered[1:], strict=False))]
    lengths = [len(row) for row in ordered]
    longest = max(lengths)
    alone = costs.of(len(rows), longest)
    trees = [_bins(lengths, common, capacity) for capacity in _capacities(longest, sum(lengths))]
    best = min(trees, key=lambda bins: costs.of(*_shape(bins)))
    if costs.of(*_shape(best)) >= alone:
        return None
    return _lay_out(rows, order, common, best)


def _common(one: np.ndarray, other: np.ndarray) -> int:
    """How many tokens two rows begin with alike."""
    least = min(len(one), len(other))
    different = np.flatnonzero(one[:least] != other[:least])
    return int(different[0]) if len(different) else least


def _capacities(longest: int, tokens: int) -> list[int]:
    """Tokens that a bin may hold: from the longest row to all rows, a quarter more each time."""
    capacities = [longest]
    while capacities[-1] < tokens:
        capacities.append(min(tokens, capacities[-1] * 5 // 4 + 1))
    return capacities


def _bins(lengths: list[int], common: list[int], capacity: int) -> list[list[int]]:
    """New tokens of each row, bin by bin. The first row of a bin shares nothing with rows of another."""
    bins: list[list[int]] = []
    used = capacity
    for length, alike in zip(lengths, common, strict=True):
        if used + length - alike > capacity:
            bins.append([])
            used, alike = 0, 0
        bins[-1].append(length - alike)
        used += length - alike
    return bins


def _shape(bins: list[list[int]]) -> tuple[int, int]:
    return len(bins), max(map(sum, bins))


def _lay_out(rows: Sequence[np.ndarray], order: list[int], common: list[int], bins: list[list[int]]) -> Layout:
    count, length = _shape(bins)
    ids, positions = np.zeros((2, count, length), dtype=np.int64)
    mask = np.zeros((count, length, length), dtype=bool)
    mask[:, np.arange(length), np.arange(length)] = True
    ends = np.cumsum([len(row) for row in rows])
    places = np.empty(ends[-1], dtype=np.int64)
    number = 0
    for at, new_tokens in enumerate(bins):
        used, path = 0, np.empty(0, dtype=np.int64)
        for new in new_tokens:
            row = rows[order[number]]
            alike = len(row) - new
            path = np.concatenate([path[:alike], np.arange(used, used + new)])
            ids[at, used : used + new] = row[alike:]
            positions[at, used : used + new] = np.arange(alike, len(row))
            mask[at, used : used + new][:, path] = np.tri(new, len(row), alike, dtype=bool)
            end = ends[order[number]]
            places[end - len(row) : end] = at * length + path
            used, number = used + new, number + 1
    return Layout(ids, positions, mask, places)
