"""Arithmetic of training on rollouts of an older policy: advantages, weights, and how far the policies are apart.

Three policies: the behaviour policy sampled the tokens, the proximal policy is the one at the start of the step, the
current policy is being updated. GRPO-RR (arXiv 2506.05316, section 4) clips current / behaviour around 1; its decoupled
form clips current / proximal and weights each token by proximal / behaviour.
"""

from collections.abc import Mapping

import torch

LIMIT = 20.0  # of a log-ratio, as in verl's losses


def group_advantages(
    reward_N: torch.Tensor, group_N: torch.Tensor, by_std: bool, epsilon: float = 1e-6
) -> torch.Tensor:
    """Advantages [N] of rollouts against the mean of their group, which may have any size.

    Args:
        reward_N: [N] rewards.
        group_N: [N] int64, rollouts of one question share a number in 0..groups - 1.
        by_std: divide by the group's standard deviation plus `epsilon` (GRPO); GRPO-RR does not.

    A group of one has nothing to compare with: its advantage is 0. So is that of equal rewards, exactly: of eight
    rewards of 0.7 the mean is another number, and over a deviation of next to nothing their difference would count.
    """
    advantage_N = torch.zeros_like(reward_N)
    places = torch.split(group_N.argsort(stable=True), torch.bincount(group_N).tolist())
    # One group after another, with the reductions of verl's GRPO: the same to the last bit.
    for place in places:
        reward_G = reward_N[place]
        if len(place) > 1 and reward_G.max() > reward_G.min():
            difference_G = reward_G - reward_G.mean()
            advantage_N[place] = difference_G / (reward_G.std() + epsilon) if by_std else difference_G
    return advantage_N


def ratio(newer_NT: torch.Tensor, older_NT: torch.Tensor) -> torch.Tensor:
    """exp(newer - older) of log-probs, elementwise, the logarithm kept in [-20, 20]."""
    return (newer_NT - older_NT).clamp(-LIMIT, LIMIT).exp()


def behaviour_weights(
    proximal_NT: torch.Tensor, behaviour_NT: torch.Tensor, truncation: float | None = None
) -> torch.Tensor:
    """Weights proximal / behaviour of tokens [N, T], at most `truncation`; exactly 1 where the policies are the same.

    Raises:
        ValueError: truncation is not above 0.
    """
    if truncation is not None and not truncation > 0:
        raise ValueError(f"truncation={truncation}: must be above 0, or null for none")
    weight_NT = ratio(proximal_NT, behaviour_NT)
    return weight_NT if truncation is None else weight_NT.clamp(max=truncation)


SUMMED = ("tokens", "ratio", "ratio_squared", "log_ratio", "clipped")


def ratio_sums(
    ratio_NT: torch.Tensor, clipped_NT: torch.Tensor, mask_NT: torch.Tensor
) -> tuple[dict[str, float], float]:
    """What `ratio_figures` needs of some tokens: sums that add up over batches, and the greatest ratio (0 for none).

    Args:
        ratio_NT: [N, T] current / behaviour.
        clipped_NT: [N, T] bool, see `is_clipped`.
        mask_NT: [N, T], tokens that count.
    """
    mask = mask_NT.bool()
    ratio_n = ratio_NT[mask].double()
    sums = (len(ratio_n), ratio_n.sum(), (ratio_n**2).sum(), ratio_n.log().abs().sum(), clipped_NT[mask].sum())
    return dict(zip(SUMMED, map(float, sums), strict=True)), float(ratio_n.max()) if len(ratio_n) else 0.0


def ratio_figures(sums: Mapping[str, float]) -> dict[str, float]:
    """How far the current policy is from the behaviour policy, from sums over tokens; {} for none.

    Returns:
        ratio/mean, ratio/log_difference (mean |log-ratio|), clip_share, and effective_sample_size: (sum r)^2 over
        n sum r^2, which is 1 for equal ratios and 1 / n for one that outweighs all others.
    """
    tokens = sums["tokens"]
    if tokens == 0:
        return {}
    return {
        "ratio/mean": sums["ratio"] / tokens,
        "ratio/log_difference": sums["log_ratio"] / tokens,
        "clip_share": sums["clipped"] / tokens,
        "effective_sample_size": sums["ratio"] ** 2 / (tokens * sums["ratio_squared"]),
    }


def is_clipped(
    ratio_NT: torch.Tensor, advantage_NT: torch.Tensor, clip: tuple[float, float], dual: float = float("inf")
) -> torch.Tensor:
    """Tokens [N, T] that the clipped loss gives no gradient.

    Args:
        ratio_NT: [N, T], the one that is clipped.
        advantage_NT: [N, T]. Above 0, a ratio above 1 + clip[1] is clipped; below 0, one below 1 - clip[0].
        clip: (below, above).
        dual: verl's clip_ratio_c: at an advantage below 0 a ratio above it is clipped too (arXiv 1912.09729).
    """
    above, below = ratio_NT > 1 + clip[1], (ratio_NT < 1 - clip[0]) | (ratio_NT > dual)
    return (above & (advantage_NT > 0)) | (below & (advantage_NT < 0))
