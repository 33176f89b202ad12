"""The entropy of a step, as the controllers that hold it read it: E3's temperature and Skywork-OR1's bonus."""

from collections import Counter

from verl_dots.bridge.advantages import token_mean
from verl_dots.bridge.rows import Rows


def token_entropy(rows: Rows, measured: str = "recomputed") -> float | None:
    """Mean entropy of a response token of the step's own rollouts, in nats; None where all of these have failed.

    As if all questions had the same number of rollouts: each token weighs 1 / rollouts of its question. Where hard
    questions have more, the entropy would rise of itself.

    Args:
        rows: of the step.
        measured: "recomputed" by the forward pass of the proximal policy from the whole distribution of each token, or
            the mean -log-prob of the tokens that the "engine" drew.
    """
    own = rows.own.real
    if not len(own):
        return None
    if measured == "recomputed":
        entropies, masks = own.get("entropy", "response_mask")
    else:
        log_probs, masks = own.get("rollout_log_probs", "response_mask")
        entropies = [-log_prob_T.clamp(max=0) for log_prob_T in log_probs]  # above 0 by rounding alone
    size = Counter(own.uids)
    least = min(size.values(), default=1)  # so that all weights are exactly 1 where the groups are equal
    weights = [least / size[uid] for uid in own.uids]
    return token_mean(entropies, [weight * mask_T for weight, mask_T in zip(weights, masks, strict=True)])
