"""The entropy of a step, as the controllers that hold it read it: E3's temperature and Skywork-OR1's bonus."""

from verl_dots.bridge.advantages import token_mean
from verl_dots.bridge.rows import Rows


def token_entropy(rows: Rows, measured: str = "recomputed") -> float:
    """Mean entropy of a response token, in nats; each token of the rows counts alike.

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
    return token_mean(entropies, masks)
