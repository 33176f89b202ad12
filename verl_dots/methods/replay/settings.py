"""Settings of rollout replay and of the loss that corrects for it."""

from dataclasses import dataclass

from verl_dots.settings import Settings, require, require_choice

REPLAYED = ("uniform", "nearest", "freshest")
OVERLAPS = ("none", "batch", "buffer")
BEHAVIOURS = ("recomputed", "engine")
# Names of GRPO-RR in verl's registries: the advantage and the paper's loss, its decoupled form.
GRPO_RR, GRPO_RR_DECOUPLED = "grpo_rr", "grpo_rr_decoupled"
LOSSES = (GRPO_RR, GRPO_RR_DECOUPLED)


@dataclass(frozen=True)
class ReplayConfig(Settings):
    """Rollout replay (arXiv 2506.05316, section 4): a part of each train batch is rollouts of earlier steps.

    Attributes:
        enable: keep effective groups, those whose rewards differ, and replay them.
            Needs a loss that corrects for their age, see dots.loss.
        delta: share of a batch's questions that are rolled out fresh, in (0, 1]; the others are replayed. What the
            buffer cannot give is rolled out too.
        capacity: C, groups that are kept; the oldest give way.
        max_age: steps after which a group is dropped; null keeps it until it is pushed out.
        sampling: which groups are replayed: "uniform" (the paper's), those of a difficulty "nearest" to
            the one that the step aims at, or the "freshest".
        overlap: where a question may be twice. "none": nowhere; a question's newest group is kept, and not replayed in
            a step that has the question anyway, or while rollouts of it are in flight. "batch": a group is replayed
            even then (the authors' code). "buffer": a question may also have several groups in the buffer, and so in
            a batch (the paper).
        fresh_steps: first steps of a run in which nothing is replayed; the paper's first round, dots.selection.mu.
    """

    enable: bool = False
    delta: float = 0.5
    capacity: int = 256
    max_age: int | None = None
    sampling: str = "uniform"
    overlap: str = "none"
    fresh_steps: int = 0

    def __post_init__(self):
        require("dots.replay.delta", self.delta, 0 < self.delta <= 1, "must be above 0 and at most 1")
        require("dots.replay.capacity", self.capacity, self.capacity >= 1, "must be 1 or more groups")
        require("dots.replay.max_age", self.max_age, self.max_age is None or self.max_age >= 1, "must be 1 or more")
        require_choice("dots.replay.sampling", self.sampling, REPLAYED)
        require_choice("dots.replay.overlap", self.overlap, OVERLAPS)
        require("dots.replay.fresh_steps", self.fresh_steps, self.fresh_steps >= 0, "must be 0 or more steps")


@dataclass(frozen=True)
class LossConfig(Settings):
    """GRPO-RR: the losses actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr and grpo_rr_decoupled.

    Attributes:
        behaviour: log-probs of fresh rollouts under the policy that sampled them: "recomputed" by the trainer, or those
            that the "engine" gave. What is replayed later keeps the same ones.
        truncation: greatest weight proximal / behaviour of a token in grpo_rr_decoupled; null for none.
    """

    behaviour: str = "recomputed"
    truncation: float | None = None

    def __post_init__(self):
        require_choice("dots.loss.behaviour", self.behaviour, BEHAVIOURS)
        positive = self.truncation is None or self.truncation > 0
        require("dots.loss.truncation", self.truncation, positive, "must be above 0, or null for none")
