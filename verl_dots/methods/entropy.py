"""The entropy of a step, as the controllers that hold it read it: E3's temperature and Skywork-OR1's bonus."""

from collections import Counter

from verl_dots.bridge.advantages import token_mean
from verl_dots.bridge.rows import Rows


def token_entropy(rows: Rows, measured: str = "recomputed") -> float:
    """Mean entropy of a response token, in nats, as if all questions had the same number of rollouts.

    Each token weighs 1 / rollouts of its question: where hard questions have more, the entropy would rise of itself.

    Args:
        rows: without padding.
        measured: "recomputed" by the forward pass of the proximal policy from the whole distribution of each token, or
            the mean -log-prob of the tokens that the "engine" drew.
    """
    if measured == "recomputed":
        entropies, masks = rows.get("entropy", "response_mask")
    else:
        log_probs, masks = rows.get("rollout_log_probs", "response_mask")
        entropies = [-log_prob_T.clamp(max=0) for log_prob_T in log_probs]  # above 0 by rounding alone
    size = Counter(rows.uids)
    least = min(size.values(), default=1)  # so that all weights are exactly 1 where the groups are equal
    weights = [least / size[uid] for uid in rows.uids]
    return token_mean(entropies, [weight * mask_T for weight, mask_T in zip(weights, masks, strict=True)])
