"""E3: a sampling temperature that holds the policy's entropy at a target (arXiv 2505.18573, section 3)."""

import math


def next_temperature(
    temperature: float, entropy: float, target: float, vocabulary: int, low: float, high: float
) -> float:
    """tau' = tau * (1 + tau * ln(H_target / H) / (ln V + ln ln V)), within [low, high].

    Args:
        temperature: tau, of the rollouts that the entropy was measured on.
        entropy: H, mean entropy of a token in nats, 0 or more. At 0 there is no ratio: the bound is returned.
        target: H_target, above 0.
        vocabulary: V, tokens, more than e.

    Raises:
        ValueError: a number is not finite or out of its range.
    """
    require_entropy(entropy)
    if not (math.isfinite(target) and target > 0 and temperature > 0 and vocabulary > math.e):
        raise ValueError(
            f"target entropy {target} and temperature {temperature} must be above 0, the vocabulary above e tokens, "
            f"got {vocabulary}"
        )
    if entropy == 0:
        return high
    scale = math.log(vocabulary) + math.log(math.log(vocabulary))
    return min(max(temperature * (1 + temperature * math.log(target / entropy) / scale), low), high)


def require_entropy(entropy: float) -> None:
    """Raise ValueError for what is no entropy of a policy."""
    if not (math.isfinite(entropy) and entropy >= 0):
        raise ValueError(f"the policy's entropy is {entropy}; the temperature needs a finite one of 0 or more")


def annealed_target(initial: float, step: int, begin: int, end: int, floor: float) -> float:
    """H_target at a step: `initial` up to `begin`, then along a half cosine to `floor` * initial at `end`.

    The paper's begin is 0.6 of the run, its floor (eta) 0.9. Raises ValueError for begin outside 0..end or floor
    outside [0, 1].
    """
    if not 0 <= begin < end or not 0 <= floor <= 1:
        raise ValueError(f"annealing from step {begin} to {end} down to {floor} is outside the run or [0, 1]")
    share = min(max((step - begin) / (end - begin), 0.0), 1.0)
    return initial * (floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2)
