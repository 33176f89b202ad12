"""The order of rows: mini-batches of mixed kinds, and forward passes with equal work for each rank."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions

if TYPE_CHECKING:
    from verl_dots.bridge.queue.rows import Rows


def spread(uids: Sequence[str], stored: Sequence[bool]) -> list[int]:
    """Places of rows in an order that spreads stored groups evenly among the others.

    A batch is cut into mini-batches in its order: none should be of one kind alone. Groups stay together, those
    of a kind in their own order.
    """
    first: dict[str, bool] = {}
    for uid, old in zip(uids, stored, strict=True):
        first.setdefault(uid, old)
    position = {}
    for kind in (False, True):
        names = [uid for uid, old in first.items() if old == kind]
        position |= {uid: (number + 0.5) / len(names) for number, uid in enumerate(names)}
    # Stable: of equal positions the group that is not stored comes first, and rows of a group keep their order.
    return sorted(range(len(uids)), key=lambda place: (position[uids[place]], first[uids[place]], uids[place]))


def micro_batch(settings: Any, size: str, dynamic: str = "log_prob_use_dynamic_bsz") -> int:
    """Rows of a micro-batch by the settings `size` and `dynamic`; 1 where they are by tokens."""
    return 1 if settings.get(dynamic) else settings.get(size) or 1


def forward_multiple(parts: DictConfig, ranks: int) -> int:
    """Of which the rows of a forward pass must be: whole micro-batches of each of the actor's ranks.

    Args:
        parts: `actor_rollout_ref` of verl's config.
        ranks: data-parallel ranks of the actor.
    """
    size = "log_prob_micro_batch_size_per_gpu"
    return ranks * math.lcm(micro_batch(parts.rollout, size), micro_batch(parts.ref, size))


def cuts_of(rows: "Rows", otherwise: int) -> int:
    """Mini-batches that `cut_evenly` has verl cut the rows into; `otherwise` where it was not asked to."""
    size = getattr(rows.meta.extra_info, "pinned", {}).get("mini_batch_size")
    return len(rows) // size if size else otherwise


def balanced_part(rows: "Rows", places: Sequence[int], ranks: int, multiple: int) -> "Rows":
    """Some rows, in an order that gives each rank equal work; filled up from the others where they do not divide.

    Args:
        places: of the rows that are wanted.
        ranks: data-parallel ranks, each of which gets the next equal part.
        multiple: of which the number of rows must be.
    """
    if len(places) == len(rows):
        return rows
    chosen = set(places)
    others = [place for place in range(len(rows)) if place not in chosen]
    places = [*places, *others[: -len(places) % multiple]]
    if ranks > 1:
        work = calculate_workload(torch.tensor([rows.tags[place]["seq_len"] for place in places]))
        found = get_seqlen_balanced_partitions(work, k_partitions=ranks, equal_size=True)
        places = [places[position] for part in found for position in part]
    return rows.at(places)
