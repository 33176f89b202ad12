"""DASH's gradient filter in a train step: rows with a small advantage leave the batch before the update.

Each optimizer step has the rows that it would have had, less those that leave, and the loss is divided by what it would
have been divided by, so a threshold of 0 changes nothing but the time. A mini-batch of which all rows leave keeps the
shortest as fillers: the optimizer makes its step without a gradient, as it would have. Where advantages follow from the
rewards alone, the rows leave before the forward passes of the proximal and the reference policy, too.

`BalancedFilter` takes out rows with a gradient as well, and has those that stand for them count more.
"""

import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig

from verl_dots.bridge.queue.advantages import advantages_of_rewards
from verl_dots.bridge.queue.balance import balanced_part, cuts_of, forward_multiple
from verl_dots.bridge.queue.row_tags import is_padding, place_of
from verl_dots.bridge.queue.rows import Rows
from verl_dots.config import DotsConfig
from verl_dots.methods.dash.checks import filters_early, refuse_filter
from verl_dots.methods.dash.filter_rule import balanced, kept, reduce_mini_batches
from verl_dots.methods.hooks import Forward, Stage
from verl_dots.methods.run import Run
from verl_dots.state_values import Values
from verl_dots.step import Step

SEED_STREAM = 2504_13818  # apart from every other generator that is seeded with dots.seed


class Pace:
    """Seconds that some work takes by its tokens: a line through what was measured last, the first time left out."""

    def __init__(self):
        self._measured: deque[tuple[int, float]] | None = None

    def observe(self, tokens: int, seconds: float) -> None:
        """Take in a measurement; the first one, a warm-up, is forgotten."""
        if self._measured is None:
            self._measured = deque(maxlen=64)
        else:
            self._measured.append((tokens, seconds))

    def seconds(self, tokens: int) -> float:
        """Estimated seconds, 0 for no tokens and as long as the line is not known."""
        if not tokens or len({size for size, _ in self._measured or ()}) < 2:
            return 0.0
        slope, intercept = np.polyfit(*zip(*self._measured, strict=True), deg=1)
        slope = max(float(slope), 0.0)
        return max(float(intercept), 0.0) + slope * tokens


class Filter(Stage):
    """The filter of one run of the trainer."""

    name = "filter"
    METRICS = {
        "rows": "rows that left the update",
        "share": "the same as a share of the batch's rows",
        "tokens": "tokens that the update was spared, prompts included",
        "seconds_saved": "estimated seconds that the step was spared",
    }
    own_loss = True
    refuse = staticmethod(refuse_filter)

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        return dots.filter.enable and not dots.filter.balanced

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings = run.dots.filter
        # Whether rows leave before the forward passes.
        self.early = filters_early(run.config, run.dots)
        actor = run.config.actor_rollout_ref.actor
        self.mini_batches = run.batch_size // actor.ppo_mini_batch_size
        self.multiple = 1 if actor.use_dynamic_bsz else actor.ppo_micro_batch_size_per_gpu or 1
        self.forward_multiple = forward_multiple(run.config.actor_rollout_ref, run.ranks)
        self._leaving: frozenset[str] | None = None  # keys, once it is decided which rows of the step leave
        self._pace: defaultdict[str, Pace] = defaultdict(Pace)
        self._update: tuple[Rows, Rows] | None = None  # rows that were trained on, and all
        self._saved = 0.0  # seconds, in the step

    def begin(self, step: Step) -> None:
        super().begin(step)
        self._leaving, self._saved, self._update = None, 0.0, None

    # --- the forward passes ----------------------------------------------------------------------------------

    def complete(self, step: Step, rows: Rows) -> None:
        """Decide which rows leave by the advantages that verl will compute, where they follow from the rewards."""
        if self.early:
            stays_N = self._kept(rows, *advantages_of_rewards(rows, self.run.config))
            self._leaving = frozenset(key for key, stays in zip(rows.keys, stays_N, strict=True) if not stays)

    def forward(self, step: Step, field: str, inner: Forward, rows: Rows, metrics: dict) -> None:
        """Spare the forward pass the rows that leave."""
        part = self._staying(rows)
        began = time.perf_counter()
        if len(part):
            inner(part, metrics)
        self._account(field, part, rows, time.perf_counter() - began)
        if self._leaving is not None:
            step.spared = self._leaving
            self._stand_in(rows, field)

    def _staying(self, rows: Rows) -> Rows:
        """The rows that a forward pass must take: what stays, filled up where it does not divide."""
        if self._leaving is None:
            return rows
        places = [place for place, key in enumerate(rows.keys) if key not in self._leaving]
        return balanced_part(rows, places, self.run.ranks, self.forward_multiple) if places else rows.at([])

    def _stand_in(self, rows: Rows, field: str) -> None:
        """Give the rows that leave a value of what they were spared: the engine's log-probs, or 0. No loss reads it."""
        leaving = rows.at([place for place, key in enumerate(rows.keys) if key in self._leaving])
        if not len(leaving):
            return
        engine = field == "old_log_probs" and self.run.rollout.calculate_log_probs
        values = leaving.get("rollout_log_probs" if engine else "response_mask")[0]
        leaving.put({field: values if engine else [torch.zeros_like(row, dtype=torch.float32) for row in values]})

    def _account(self, what: str, part: Rows, rows: Rows, seconds: float) -> None:
        """Learn how long work on `part` takes, and estimate what all rows would have taken more."""
        done, whole = (sum(tag["seq_len"] for tag in of.tags) for of in (part, rows))
        if done:
            self._pace[what].observe(done, seconds)
        self._saved += self._pace[what].seconds(whole) - self._pace[what].seconds(done)

    # --- the update ------------------------------------------------------------------------------------------

    def reduce(self, step: Step, rows: Rows) -> Rows:
        """The rows without those that leave, in the mini-batches that they would have been in."""
        if self._leaving is None:
            kept_N = self._kept(rows, *rows.get("advantages", "response_mask"))
        else:
            kept_N = np.array([key not in self._leaving for key in rows.keys])
        # verl counts the tokens of a mini-batch by loss_mask, which keeps those that rejection (rollout_rs) took out.
        tokens_N = np.array([int(mask_T.sum()) for mask_T in rows.get("loss_mask")[0]])
        real_N, length_N = _real(rows), np.array([tag["seq_len"] for tag in rows.tags])
        ranks = self.run.ranks
        cuts = cuts_of(rows, self.mini_batches)
        reduced = reduce_mini_batches(kept_N, length_N, tokens_N, ranks, cuts, self.multiple)
        self._figures = {
            "filter/rows": float((real_N & ~kept_N).sum()),
            "filter/share": float((real_N & ~kept_N).sum() / real_N.sum()),
            "filter/tokens": float(length_N.sum() - length_N[reduced.places].sum()),
        }
        part = rows.at(reduced.places.tolist())
        self._update = (part, rows)
        part.pin({"mini_batch_size": reduced.rows * ranks})
        part.put({"unfiltered_tokens": torch.from_numpy(reduced.tokens), "filler": torch.from_numpy(reduced.fillers)})
        part.meta.fields = None  # the new ones too
        return part

    def metrics(self, step: Step) -> dict[str, float]:
        if self._update is None:
            return {}
        self._account("update_actor", *self._update, step.timing["update_actor"])
        return self._figures | {"filter/seconds_saved": self._saved}

    def _kept(self, rows: Rows, advantages: list[torch.Tensor], masks: list[torch.Tensor]) -> np.ndarray:
        pairs = zip(advantages, masks, strict=True)
        advantage_N = np.array([_greatest(advantage_T * mask_T) for advantage_T, mask_T in pairs])
        # Of equal advantages those that leave are drawn, the same ones whenever the same rows meet, in whatever order
        # and with whatever padding, of which verl draws the names: the names of the rows are the seed.
        place_of_key = {key: place for place, key in enumerate(rows.keys) if not is_padding(rows.tags[place])}
        names = sorted(place_of_key)
        rng = np.random.default_rng(list("\n".join(names).encode()))
        place_n = np.array([place_of_key[key] for key in names], dtype=np.int64)
        kept_n = kept(advantage_N[place_n], self.settings.threshold, self.settings.kind, rng)
        kept_N = np.zeros(len(rows), dtype=bool)
        kept_N[place_n] = self._drawn(names, advantage_N[place_n], kept_n)
        return kept_N

    def _drawn(self, names: Sequence[str], advantage_n: np.ndarray, kept_n: np.ndarray) -> np.ndarray:
        """[n] bool, which of the rows that may stay do, by their sorted names."""
        return kept_n


class BalancedFilter(Filter):
    """The filter with as many rows of each group above its mean as below, see `balanced`.

    Weights are written to the rows as advantage_weight, by which `dots_loss` multiplies advantages. All that is kept or
    measured of a group comes before that, of all its rows.
    """

    METRICS = {
        "kept_rows": "rows that the update has, with dots.filter.balanced",
        "drawn_out_rows": "rows with a gradient that left because their side of the group was the larger",
        "weight/max": "greatest weight of a row that stands for others of its side",
    }

    def __init__(self, run: Run):
        super().__init__(run)
        self._rng = run.rng(SEED_STREAM)
        self._weights: dict[str, float] = {}  # key -> of the step's rows that are not 1
        self._drawn_out = 0

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        return dots.filter.enable and dots.filter.balanced

    def reduce(self, step: Step, rows: Rows) -> Rows:
        part = super().reduce(step, rows)
        weight_M = torch.tensor([self._weights.get(key, 1.0) for key in part.keys])
        part.put({"advantage_weight": weight_M})
        self._figures |= {
            "filter/kept_rows": float(_real(rows).sum()) - self._figures["filter/rows"],
            "filter/drawn_out_rows": float(self._drawn_out),
            "filter/weight/max": float(weight_M.max()),
        }
        return part

    def _drawn(self, names: Sequence[str], advantage_n: np.ndarray, kept_n: np.ndarray) -> np.ndarray:
        _, group_n = np.unique([place_of(name)[0] for name in names], return_inverse=True)
        drawn_n, weight_n = balanced(advantage_n, group_n, kept_n, self._rng)
        self._weights = {names[place]: float(weight_n[place]) for place in np.flatnonzero(weight_n != 1)}
        self._drawn_out = int((kept_n & ~drawn_n).sum())
        return drawn_n

    def state_dict(self) -> dict[str, Any]:
        """The generator of the draws."""
        return {"rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = Values("filter", state, {"rng"}).generator("rng", self._rng)


def _greatest(value_T: torch.Tensor) -> float:
    """The value that is greatest without its sign."""
    return float(value_T[value_T.abs().argmax()])


def _real(rows: Rows) -> np.ndarray:
    return np.array([not is_padding(tag) for tag in rows.tags])
