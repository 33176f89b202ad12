"""DASH's gradient filter in a train step: rows with a small advantage leave the batch before the update.

Each optimizer step has the rows that it would have had, less those that leave, and the loss is divided by what it would
have been divided by, so a threshold of 0 changes nothing but the time. A mini-batch of which all rows leave keeps the
shortest as fillers: the optimizer makes its step without a gradient, as it would have. Where advantages follow from the
rewards alone, the rows leave before the forward passes of the proximal and the reference policy, too.
"""

import time
from collections import defaultdict, deque

import numpy as np
import torch

from verl_dots.bridge.advantages import advantages_of_rewards
from verl_dots.bridge.balance import balanced_part, forward_multiple
from verl_dots.bridge.rows import Rows, is_padding
from verl_dots.methods.dash.checks import filters_early, refuse_filter
from verl_dots.methods.dash.filter_rule import kept, reduce_mini_batches
from verl_dots.methods.hooks import Forward, Run, Stage
from verl_dots.step import Step


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

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings = run.dots.filter
        # Whether rows leave before the forward passes.
        self.early = filters_early(run.config, run.dots)
        actor = run.config.actor_rollout_ref.actor
        self.mini_batches = run.batch_size // actor.ppo_mini_batch_size
        self.multiple = 1 if actor.use_dynamic_bsz else actor.ppo_micro_batch_size_per_gpu or 1
        self.forward_multiple = forward_multiple(run.rollout, run.ranks)
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
            step.forwarded = False
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
        reduced = reduce_mini_batches(kept_N, length_N, tokens_N, ranks, self.mini_batches, self.multiple)
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
        size_N = np.array([float((advantage_T * mask_T).abs().max()) for advantage_T, mask_T in pairs])
        # Of equal advantages those that leave are drawn, the same ones whenever the same rows meet, in whatever order
        # and with whatever padding, of which verl draws the names: the names of the rows are the seed.
        names = {key: place for place, key in enumerate(rows.keys) if not is_padding(rows.tags[place])}
        rng = np.random.default_rng(list("\n".join(sorted(names)).encode()))
        place_n = np.array([names[key] for key in sorted(names)], dtype=np.int64)
        kept_N = np.zeros(len(rows), dtype=bool)
        kept_N[place_n] = kept(size_N[place_n], self.settings.threshold, self.settings.kind, rng)
        return kept_N


def _real(rows: Rows) -> np.ndarray:
    return np.array([not is_padding(tag) for tag in rows.tags])
