"""Large batches through verl's computations on the driver, which pad all rows to the longest: less of it at a time."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from verl.trainer.ppo.v1 import trainer_base

from verl_dots.bridge.queue.row_tags import is_padding
from verl_dots.bridge.queue.rows import Rows

# Of a padded batch, 20 bytes each and as many again for verl's copies; smaller batches are computed at once.
PADDED_TOKENS = 1 << 25
# Estimators whose advantages of a row follow from the rows of its group alone.
WITHIN_GROUPS = ("grpo", "grpo_rr", "rloo", "opo")
# Columns of which verl's figures read the lengths, and a mask of 0 and 1.
LENGTHS, MASK = ("prompts", "responses"), "response_mask"


def group_parts(uids: Sequence[str], longest: int, most: int = PADDED_TOKENS) -> list[list[int]]:
    """Places of rows in parts of whole groups, each of at most so many padded tokens, or of one group.

    Args:
        uids: of each row's group; a group's rows may lie apart.
        longest: tokens of the longest row.
        most: tokens of a part.
    """
    places: dict[str, list[int]] = {}
    for place, uid in enumerate(uids):
        places.setdefault(uid, []).append(place)
    parts: list[list[int]] = []
    for of_group in places.values():
        if not parts or (len(parts[-1]) + len(of_group)) * longest > most:
            parts.append([])
        parts[-1] += of_group
    return parts


def _by_groups(algorithm: DictConfig) -> bool:
    """Whether what verl computes of a row follows from the rows of its group."""
    correction = algorithm.get("rollout_correction") or {}
    of_all_rows = correction.get("rollout_is") is not None and correction.get("rollout_is_batch_normalize", False)
    return algorithm.adv_estimator in WITHIN_GROUPS and not algorithm.use_kl_in_reward and not of_all_rows


def _parts(rows: Rows, most: int) -> list[list[int]]:
    """Places of the rows in parts."""
    return group_parts(rows.uids, max((tag["response_len"] for tag in rows.tags), default=0), most)


def _zeros(padding: Rows, fields: Collection[str]) -> Rows:
    """Rows that pad the batch, with zeros in what of some fields they lack."""
    there = padding.kinds()
    lacking = [name for name in fields if name not in there]
    padding.meta.fields = [*there, *lacking]
    if lacking:
        padding.put({name: [torch.zeros(tag["response_len"]) for tag in padding.tags] for name in lacking})
    return padding


def aggregated(figures: Sequence[Mapping[str, float]], rows: Sequence[int]) -> dict[str, float]:
    """Figures of parts as one: the greatest of what is named a maximum, the least of a minimum, else the mean by rows.

    verl's own aggregation goes by words within a name, and adds up the mean of rollout_rs_seq_sum_k1.

    Args:
        figures: of each part; one may lack some.
        rows: of each part.
    """
    found: dict[str, float] = {}
    for name in {name: None for of_part in figures for name in of_part}:
        there = [(of_part[name], count) for of_part, count in zip(figures, rows, strict=True) if name in of_part]
        values, weights = zip(*there, strict=True)
        if name.endswith(("_max", "_max_deviation")):
            found[name] = float(np.max(values))  # NaN stays
        elif name.endswith("_min"):
            found[name] = float(np.min(values))
        else:
            found[name] = float(np.average(values, weights=weights))
    return found


def in_parts(compute: Callable, rows: Rows, algorithm: DictConfig, metrics: dict, most: int = PADDED_TOKENS) -> Any:
    """Advantages of rows, computed in parts of whole groups where padded they are many and verl's result is the same.

    Of several parts verl's figures, engine against trainer, are means of the parts' by their rows, its maxima maxima.
    Weights that verl divides by their mean over the batch are computed at once. Rows that pad the batch get zeros: in
    verl they count in the mean of a KL penalty and in the numbers of some estimators, and are a group to others.

    Args:
        compute: verl's `_compute_advantage`.
        rows: of the step.
        algorithm: verl's settings of it.
        metrics: to which figures are added.
        most: padded tokens of a part.

    Returns: verl's batch, its rows in their order.
    """
    padding, real = (
        [place for place, tag in enumerate(rows.tags) if is_padding(tag) == kind] for kind in (True, False)
    )
    whole = rows.at(real)
    parts = _parts(whole, most) if _by_groups(algorithm) else [list(range(len(real)))]
    if (len(parts) == 1 and not padding) or not real:
        return compute(rows.meta, metrics=metrics)
    figures, computed = [], []
    for places in parts:
        of_part: dict[str, Any] = {}
        computed.append(Rows(compute(whole.at(places).meta, metrics=of_part)))
        figures.append(of_part)
    metrics.update(aggregated(figures, [len(part) for part in computed]))
    if padding:
        computed.append(_zeros(rows.at(padding), computed[0].meta.fields))
    meta = computed[0].joined(*computed[1:]).meta
    order = [*(real[place] for places in parts for place in places), *padding]
    meta.reorder(sorted(range(len(order)), key=order.__getitem__))
    return meta


@contextmanager
def short_columns() -> Iterator[None]:
    """Have verl compute the figures of a step of a byte a token where it reads the lengths alone."""
    fetch = trainer_base.get_metric_data_with_optional_routed_experts

    def fetch_short(**given: Any) -> Any:
        data = fetch(**given)
        for name in (*LENGTHS, MASK):
            data[name] = data[name].to(torch.int8)
        return data

    trainer_base.get_metric_data_with_optional_routed_experts = fetch_short
    try:
        yield
    finally:
        trainer_base.get_metric_data_with_optional_routed_experts = fetch
