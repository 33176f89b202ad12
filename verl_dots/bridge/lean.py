"""Large batches through verl's computations on the driver, which pad all rows to the longest: less of it at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from omegaconf import DictConfig
from verl.trainer.ppo.v1 import trainer_base
from verl.trainer.ppo.v1.utils import MetricsAggregator

from verl_dots.bridge.rows import Rows

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


def in_parts(compute: Callable, rows: Rows, algorithm: DictConfig, metrics: dict, most: int = PADDED_TOKENS) -> Any:
    """Advantages of rows, computed in parts of whole groups where padded they are many and verl's result is the same.

    Of several parts verl's figures, engine against trainer, are means of the parts' by their rows, its maxima maxima.

    Args:
        compute: verl's `_compute_advantage`.
        rows: of the step.
        algorithm: verl's settings of it.
        metrics: to which figures are added.
        most: padded tokens of a part.

    Returns: verl's batch, its rows in their order.
    """
    parts = [list(range(len(rows)))]
    if algorithm.adv_estimator in WITHIN_GROUPS and not algorithm.use_kl_in_reward:
        parts = group_parts(rows.uids, max((tag["response_len"] for tag in rows.tags), default=0), most)
    if len(parts) < 2:
        return compute(rows.meta, metrics=metrics)
    figures, computed = MetricsAggregator(), []
    for places in parts:
        of_part: dict[str, Any] = {}
        computed.append(Rows(compute(rows.at(places).meta, metrics=of_part)))
        figures.add_step_metrics(of_part, len(places))
    metrics.update(figures.get_aggregated_metrics())
    order = [place for places in parts for place in places]
    meta = computed[0].joined(*computed[1:]).meta
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
