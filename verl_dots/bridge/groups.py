"""The groups of a batch of the TransferQueue: their rewards and their order."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import transfer_queue as tq
from transfer_queue import KVBatchMeta

from verl_dots.step import effective


def place_of(key: str) -> tuple[str, int, int]:
    """(uid, session, output) of a trajectory's key `uid_session_output`."""
    uid, session, output = key.rsplit("_", 2)
    return uid, int(session), int(output)


@dataclass(frozen=True)
class Group:
    """All rollouts of one question under one policy version."""

    uid: str
    rewards: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.rewards)

    @property
    def mean_reward(self) -> float:
        return sum(self.rewards) / len(self.rewards)

    @property
    def effective(self) -> bool:
        """Whether the rewards differ."""
        return effective(self.rewards)


def groups_of(batch: KVBatchMeta) -> dict[str, Group]:
    """Groups by uid, in the order of the batch; of a session with several outputs the last one counts."""
    last: dict[tuple[str, int], tuple[int, str]] = {}
    for key, tag in zip(batch.keys, batch.tags, strict=True):
        if not tag.get("is_padding"):
            uid, session, output = place_of(key)
            last[uid, session] = max(last.get((uid, session), (-1, "")), (output, key))
    if not last:
        return {}
    keys = [key for _, key in last.values()]
    scores = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["rm_scores"])["rm_scores"]
    rewards: defaultdict[str, list[float]] = defaultdict(list)
    for (uid, _), score_T in sorted(zip(last, scores.unbind(), strict=True), key=lambda pair: pair[0]):
        rewards[uid].append(float(score_T.sum()))
    return {uid: Group(uid, tuple(values)) for uid, values in rewards.items()}


def outcomes(groups: Mapping[str, Group], reward_range: tuple[float, float]) -> dict[str, float]:
    """Metrics of a step: share of groups whose rewards differ, and of those that all have the least or the greatest."""
    if not groups:
        return {}
    low, high = reward_range
    shares = {
        "effective": [group.effective for group in groups.values()],
        "all_wrong": [max(group.rewards) <= low for group in groups.values()],
        "all_right": [min(group.rewards) >= high for group in groups.values()],
    }
    return {f"training/{name}_groups": sum(share) / len(groups) for name, share in shares.items()}


def incomplete(keys: Sequence[str], wanted: Mapping[str, int], enough: int | None = None) -> dict[str, int]:
    """Groups with rollouts missing, and how many each misses: what is left of them would be biased without a word.

    Groups of which nothing has arrived are among them, unless verl has replaced them (DAPO's filter, or
    trainer.v1.sampler.sync_refill_failed_groups), in which case the batch has all its groups.

    Args:
        keys: of the rows that have arrived.
        wanted: rollouts of each prompt that was submitted.
        enough: groups of a complete batch, where verl may have replaced some.
    """
    arrived = Counter(uid for uid, _ in {place_of(key)[:2] for key in keys})
    if enough is not None and len(arrived) >= enough:
        wanted = {uid: wanted.get(uid, 0) for uid in arrived}
    return {uid: want - arrived[uid] for uid, want in wanted.items() if arrived[uid] < want}
