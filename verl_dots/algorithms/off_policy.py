"""Arithmetic of training on rollouts of an older policy: advantages, weights, and how far the policies are apart.

Three policies: the behaviour policy sampled the tokens, the proximal policy is the one at the start of the step, the
current policy is being updated. GRPO-RR (arXiv 2506.05316, section 4) clips current / behaviour around 1; its decoupled
form clips current / proximal and weights each token by proximal / behaviour.
"""

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

    A group of one has nothing to compare with: its advantage is 0.
    """
    groups = int(group_N.max()) + 1 if len(group_N) else 0
    size = torch.bincount(group_N, minlength=groups)
    advantage_N = torch.zeros_like(reward_N)
    # One group after another, with the reductions of verl's GRPO: the same to the last bit.
    for group in range(groups):
        if size[group] > 1:
            place = (group_N == group).nonzero()[:, 0]
            reward_G = reward_N[place]
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


def effective_sample_size(weight_NT: torch.Tensor, mask_NT: torch.Tensor) -> float:
    """(sum w)^2 / (n sum w^2) over the n tokens that count: 1 for equal weights, 1 / n for one alone, nan for n = 0."""
    weight_n = weight_NT[mask_NT.bool()].double()
    if not len(weight_n):
        return float("nan")
    return float(weight_n.sum() ** 2 / (len(weight_n) * (weight_n**2).sum()))


def ratio_statistics(
    newer_NT: torch.Tensor, older_NT: torch.Tensor, mask_NT: torch.Tensor, clip: tuple[float, float]
) -> dict[str, float]:
    """How far apart two policies are on some tokens; {} where none counts.

    Args:
        newer_NT, older_NT: [N, T] log-probs of the same tokens.
        mask_NT: [N, T], tokens that count.
        clip: (below, above): a ratio outside [1 - below, 1 + above] is clipped.

    Returns:
        mean, greatest and clipped share of the ratio, and the mean |log-ratio|.
    """
    mask = mask_NT.bool()
    if not mask.any():
        return {}
    ratio_n = ratio(newer_NT, older_NT)[mask].double()
    outside_n = (ratio_n < 1 - clip[0]) | (ratio_n > 1 + clip[1])
    return {
        "ratio/mean": float(ratio_n.mean()),
        "ratio/max": float(ratio_n.max()),
        "ratio/clipped": float(outside_n.double().mean()),
        "ratio/log_difference": float((newer_NT - older_NT)[mask].double().abs().mean()),
    }
