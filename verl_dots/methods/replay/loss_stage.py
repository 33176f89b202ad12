"""Log-probs, weights and ages of a step's rows for GRPO-RR, written to the rows where verl's loss finds them.

grpo_rr: old_log_probs are the behaviour policy's, so rows of earlier steps need no forward pass; this step's need one
unless the engine's log-probs are taken. grpo_rr_decoupled: old_log_probs are the proximal policy's, for all rows, and
rollout_is_weights are proximal / behaviour. Fresh rows whose behaviour is recomputed have weights of exactly 1.
"""

from collections.abc import Sequence, Set

import torch
from omegaconf import DictConfig

from verl_dots.bridge.queue.balance import balanced_part, forward_multiple
from verl_dots.bridge.queue.row_tags import age_of, place_of
from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.queue.temperatures import keep_temperatures
from verl_dots.config import DotsConfig
from verl_dots.methods.hooks import Forward, Stage
from verl_dots.methods.replay.checks import refuse_loss
from verl_dots.methods.replay.loss_rule import behaviour_weights, ratio_figures, ratio_sums
from verl_dots.methods.replay.losses import off_policy_metrics
from verl_dots.methods.replay.settings import GRPO_RR, GRPO_RR_DECOUPLED, LOSSES
from verl_dots.methods.run import Run
from verl_dots.step import Step

OLD = "old_log_probs"


class Loss(Stage):
    """What verl's loss needs to know of the behaviour policy, where loss_mode is grpo_rr or grpo_rr_decoupled."""

    name = "loss"
    METRICS = {
        "fresh/ratio/mean": "current / behaviour policy of a token, mean over the update's rows of this step",
        "fresh/ratio/max": "the greatest of these",
        "fresh/ratio/log_difference": "mean |log current - log behaviour| of these",
        "fresh/clip_share": "share of these tokens that the loss clips",
        "fresh/effective_sample_size": "(sum r)^2 / (n sum r^2) of these ratios r, 1 if all are equal",
        "replayed/ratio/mean": "the same, over the rows of earlier steps",
        "replayed/ratio/max": "the same, over the rows of earlier steps",
        "replayed/ratio/log_difference": "the same, over the rows of earlier steps",
        "replayed/clip_share": "the same, over the rows of earlier steps",
        "replayed/effective_sample_size": "the same, over the rows of earlier steps",
        "age_1/ratio/log_difference": "the same, over rows that are a step old",
        "age_2-3/ratio/log_difference": "the same, over rows that are 2 or 3 steps old",
        "age_4-7/ratio/log_difference": "the same, over rows that are 4 to 7 steps old",
        "age_8+/ratio/log_difference": "the same, over older rows",
        "weights/max": "greatest weight proximal / behaviour, with grpo_rr_decoupled",
        "weights/truncated_share": "share of the tokens whose weight dots.loss.truncation cuts",
        "weights/effective_sample_size": "(sum w)^2 / (n sum w^2) of the weights w",
    }
    own_loss = True
    refuse = staticmethod(refuse_loss)

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings, self.rollout, self.ranks = run.dots.loss, run.rollout, run.ranks
        self.decoupled = run.config.actor_rollout_ref.actor.policy_loss.loss_mode == GRPO_RR_DECOUPLED
        # The model's fused kernels know one temperature for all rows.
        self.one_temperature = run.config.actor_rollout_ref.model.use_fused_kernels
        self.multiple = forward_multiple(run.config.actor_rollout_ref, run.ranks)

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        return config.actor_rollout_ref.actor.policy_loss.loss_mode in LOSSES

    def forward(self, step: Step, field: str, inner: Forward, rows: Rows, metrics: dict) -> None:
        """Write old_log_probs, replay_age and, if decoupled, behaviour_log_probs and rollout_is_weights of all rows.

        verl's metrics of the forward pass (entropy, engine against trainer) are those of this step's own rows, if there
        are any.
        """
        if field != OLD:
            inner(rows, metrics)
            return
        own = [place for place, origin in enumerate(rows.origins) if origin.own]
        stored = [place for place, origin in enumerate(rows.origins) if not origin.own]
        recompute = self.settings.behaviour == "recomputed"
        self._keep_temperatures(rows)
        if own and (self.decoupled or recompute):
            inner(self._part(rows, own), metrics)
        if self.decoupled:
            if stored:
                inner(self._part(rows, stored), {} if own else metrics)
            self._write_weights(rows, set(own) if recompute else set(), step.spared)
        else:
            self._copy_behaviour(rows.at(stored if recompute else range(len(rows))))
        ages = [age_of(tag, step.number) for tag in rows.tags]
        rows.put({"replay_age": torch.tensor(ages, dtype=torch.int64)})

    def reduce(self, step: Step, rows: Rows) -> Rows:
        """The update's temperatures are those of the rows, too."""
        self._keep_temperatures(rows)
        return rows

    def metrics(self, step: Step) -> dict[str, float]:
        """The figures of the weights, and those that the workers' sums in the step's metrics give."""
        return self._figures | off_policy_metrics(step.metrics, self.name)

    # --- behaviour policy ------------------------------------------------------------------------------------

    def _keep_temperatures(self, rows: Rows) -> None:
        keep_temperatures(rows, self.rollout.temperature, self.one_temperature)

    def _part(self, rows: Rows, places: Sequence[int]) -> Rows:
        """What fills up is computed in vain: it is written again afterwards, or has the same value."""
        return balanced_part(rows, places, self.ranks, self.multiple)

    @staticmethod
    def _copy_behaviour(part: Rows) -> None:
        if len(part):
            part.put({OLD: part.get("rollout_log_probs")[0]})

    def _write_weights(self, rows: Rows, on_policy: set[int], spared: Set[str]) -> None:
        """Write each token's weight; its figures are of the rows whose log-probs were computed."""
        proximal, sampled, masks = rows.get(OLD, "rollout_log_probs", "response_mask")
        behaviour = [(proximal if place in on_policy else sampled)[place] for place in range(len(rows))]
        pairs = list(zip(proximal, behaviour, strict=True))
        weights = [behaviour_weights(*pair, self.settings.truncation) for pair in pairs]
        rows.put({"behaviour_log_probs": behaviour, "rollout_is_weights": weights})
        counted = [place for place, key in enumerate(rows.keys) if key not in spared]
        if not counted:
            return
        weight_n = torch.cat([weights[place] for place in counted])
        truncated_n = torch.cat([behaviour_weights(*pairs[place]) for place in counted]) > weight_n
        sums, largest = ratio_sums(weight_n, truncated_n, torch.cat([masks[place] for place in counted]))
        if figures := ratio_figures(sums):
            self._figures = {
                "loss/weights/max": largest,
                "loss/weights/truncated_share": figures["clip_share"],
                "loss/weights/effective_sample_size": figures["effective_sample_size"],
            }


class GroupAdvantage(Stage):
    """GRPO-RR's advantage, which compares rollouts of one output each."""

    name = "loss"

    @classmethod
    def enabled(cls, dots: DotsConfig, config: DictConfig) -> bool:
        return config.algorithm.adv_estimator == GRPO_RR

    def observe(self, step: Step, rows: Rows) -> None:
        if any(place_of(key)[2] for key in rows.keys):
            raise ValueError(
                f"algorithm.adv_estimator={GRPO_RR} compares rollouts of one output each; these have several: use grpo"
            )
