"""The coefficient of an entropy bonus that holds the policy's entropy at a target (arXiv 2505.22312)."""


def bonus(coefficient: float, entropy: float, target: float) -> float:
    """alpha_k = c_k * 1{e_k <= target}: the coefficient where the entropy is at or below its target, else 0."""
    return coefficient if entropy <= target else 0.0


def next_coefficient(coefficient: float, entropy: float, target: float, delta: float, most: float) -> float:
    """c_{k+1} = c_k + delta where e_k < target, c_k - delta where it is above, within [0, most].

    Args:
        coefficient: c_k.
        entropy: e_k, mean entropy of a token in the same unit as the target.
        target: where the coefficient stays.
        delta: 0 or more.
        most: bound, 0 or more.
    """
    step = delta * ((entropy < target) - (entropy > target))
    return min(max(coefficient + step, 0.0), most)
