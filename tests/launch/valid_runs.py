"""Strategies of settings: what each key of a method may be and what it may not, and runs that are valid as a whole.

Written down anew, apart from the checks, from what the settings' descriptions say.
"""

import math
from collections.abc import Sequence

from hypothesis import strategies as st

LOSS = "actor_rollout_ref.actor.policy_loss.loss_mode"
N = "actor_rollout_ref.rollout.n"
# KEY KIND [LEAST MOST | NAMES]: "(0" leaves the bound out, "?" allows null, "-" is no bound.
KEYS = """
dots.seed whole 0 2147483647
dots.poll_seconds number (0 60
dots.patience_seconds number (0 1000000000
dots.reward_seconds number (0 1000000000
dots.reward_memory_gib number 1 1048576
dots.max_failed_share number 0 1
dots.selection.references whole 2 -
dots.selection.explore number (0 1)
dots.selection.score name difficulty effectiveness
dots.selection.alpha number 0 1
dots.selection.tau number 0 -
dots.selection.mu whole 1 -
dots.selection.references_are_candidates flag
dots.selection.reuse_references flag
dots.selection.conflicting_answers name drop error
dots.selection.rho_floor number -1 1
dots.selection.rho_rounds whole 1 -
dots.selection.uniform_start whole 0 -
dots.selection.uniform_rounds whole 1 -
dots.difficulty.layers name last all
dots.difficulty.reads name question answer_and_question
dots.difficulty.surface flag
dots.difficulty.field name extra_info.level null
dots.difficulty.batch_tokens whole 1 -
dots.difficulty.half_life number (0 -
dots.adarft.eta number 0 -
dots.adarft.sensitivity number (0 -
dots.adarft.damping number 0 1)
dots.adarft.coverage? number 0 -
dots.adarft.follow name reward schedule
dots.mopps.target number 0 1
dots.mopps.memory number 0 1
dots.mopps.candidates? whole 1 -
dots.mopps.implicit number 0 1
dots.mopps.damping number 0 1)
dots.budget.widen? whole 0 -
dots.budget.by name reward
dots.budget.remainder name hardest spread
dots.temperature.target? number (0 -
dots.temperature.warm_up whole 1 -
dots.temperature.entropy name recomputed engine
dots.temperature.damping number 0 1)
dots.temperature.anneal_from? number 0 1)
dots.temperature.anneal_to number 0 1
dots.entropy_coefficient.target number (0 -
dots.entropy_coefficient.delta number 0 -
dots.length_penalty.easiest number (0 1
dots.length_penalty.strength number (0 -
dots.length_penalty.ranked name epoch step
dots.stop_early.first number (0 0.5
dots.stop_early.confidence number 0.5 1
dots.stop_early.strength number (0 -
dots.stop_early.audit number 0 1
dots.stop_early.elsewhere flag
dots.refill.max_rounds whole 1 -
dots.refill.at_the_limit name train raise
dots.filter.threshold number 0 0.2
dots.filter.early flag
dots.replay.delta number (0.4 1
dots.replay.capacity whole 8 -
dots.replay.max_age? whole 1 -
dots.replay.sampling name uniform nearest freshest
dots.replay.overlap name none batch buffer
dots.replay.fresh_steps whole 0 -
dots.loss.behaviour name recomputed engine
dots.loss.truncation? number (0 -
actor_rollout_ref.actor.clip_ratio number (0 -
actor_rollout_ref.actor.optim.lr number 0 -
actor_rollout_ref.actor.optim.weight_decay number 0 -
actor_rollout_ref.actor.optim.lr_warmup_steps_ratio number 0 1
actor_rollout_ref.actor.ppo_epochs whole 1 -
actor_rollout_ref.actor.kl_loss_coef number 0 -
actor_rollout_ref.rollout.gpu_memory_utilization number (0 1
actor_rollout_ref.rollout.seed whole 0 2147483647
algorithm.gamma number 0 1
algorithm.lam number 0 1
data.dataloader_num_workers whole 0 -
data.shuffle flag
trainer.total_epochs whole 1 -
trainer.val_before_train flag
trainer.log_val_generations whole 0 -
"""
# Bounds of the table that are narrower than the key's own, so that runs are valid with all other settings.
NARROWED = ("dots.stop_early.first", "dots.filter.threshold", "dots.replay.delta", "dots.replay.capacity")
NARROWED += ("dots.adarft.follow", "dots.budget.by")
LARGEST = 2**63 - 1
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=20)  # without names of other settings
NOT_NUMBERS = st.one_of(TEXTS, st.booleans(), st.lists(st.integers(), max_size=3), st.just({"a": 1}))
NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf])


class Key:
    """A setting of the table: strategies of what it may be and of what it may not."""

    def __init__(self, line: str):
        name, self.kind, *self.rest = line.split()
        self.name, self.optional = name.rstrip("?"), name.endswith("?")

    def valid(self) -> st.SearchStrategy:
        found = self._numbers() if self.kind in ("whole", "number") else st.sampled_from(self._choices())
        return st.none() | found if self.optional else found

    def invalid(self) -> st.SearchStrategy:
        if self.kind == "flag":
            found = st.one_of(TEXTS, st.integers(), st.floats(), st.lists(st.booleans(), max_size=2))
        elif self.kind == "name":
            known = self._choices()
            found = TEXTS.filter(lambda text: text not in known) | st.integers() | st.booleans() | NOT_FINITE
        else:
            wrong = [NOT_NUMBERS, NOT_FINITE, st.integers(LARGEST + 1), st.integers(max_value=-LARGEST - 2)]
            if self.kind == "whole":
                wrong.append(st.floats(allow_nan=False, allow_infinity=False))
            wrong += [self._beyond(bound, side) for bound, side in zip(self.rest, (-1, 1), strict=True)]
            found = st.one_of(wrong)
        if self.name == "dots.selection.references":  # 0 stands for none
            found = found.filter(lambda value: value != 0)
        return found if self.optional else st.none() | found

    def _choices(self) -> Sequence[object]:
        return (True, False) if self.kind == "flag" else self.rest

    def _numbers(self) -> st.SearchStrategy:
        low, high = (None if bound == "-" else float(bound.strip("()")) for bound in self.rest)
        if self.kind == "whole":
            return st.integers(int(low), int(high) if high is not None else 10**6)
        open_low, open_high = self.rest[0].startswith("("), self.rest[1].endswith(")")
        least = 1e-6 if open_low and not low else low
        most = high if high is not None else 1e6
        return st.floats(least, most, exclude_min=open_low and bool(low), exclude_max=open_high)

    def _beyond(self, bound: str, side: int) -> st.SearchStrategy:
        """Numbers on the wrong side of a bound, and the bound itself where it is left out."""
        if bound == "-" or self.name in NARROWED:
            return st.nothing()
        limit = float(bound.strip("()"))
        beyond = {"max_value": limit} if side < 0 else {"min_value": limit}
        closed = bound.strip("()") == bound
        if self.kind == "whole":
            step = int(limit) + side
            return st.integers(max_value=step) if side < 0 else st.integers(min_value=step)
        ends = {"exclude_max" if side < 0 else "exclude_min": closed}
        found = st.floats(**beyond, **ends, allow_nan=False, allow_infinity=False)
        return found.filter(lambda value: value != limit) if closed else found  # -0.0 is 0


TABLE = [Key(line) for line in KEYS.strip().splitlines()]
OF_CHOICE = [key for key in TABLE if key.name not in NARROWED or key.kind != "name"]

SOURCES = {
    "loader": {},
    "dots": {"dots.selection.enable": True, "dots.selection.references": 8},
    "mopps": {"dots.mopps.enable": True},
    "adarft": {"dots.adarft.enable": True, "dots.adarft.difficulty": "extra_info.level"},
}
STORES = {
    "none": {},
    "replay": {"dots.replay.enable": True, LOSS: "grpo_rr"},
    "preemptive": {"dots.preemptive.enable": True, "dots.preemptive.prompts": 16, LOSS: "grpo_rr"},
}
STAGES = {
    "budget": {"dots.budget.enable": True, "dots.budget.least": 2, "dots.budget.most": 12},
    "temperature": {"dots.temperature.enable": True},
    "entropy_coefficient": {"dots.entropy_coefficient.enable": True},
    "length_penalty": {"dots.length_penalty.enable": True},
    "refill": {"dots.refill.enable": True},
    "stop_early": {"dots.stop_early.enable": True, "dots.stop_early.first": 0.5},
    "filter": {"dots.filter.enable": True},
}


@st.composite
def methods(draw: st.DrawFn) -> dict[str, object]:
    """Methods of a run that go together: a source of questions, what keeps rollouts, and stages."""
    source, store = draw(st.sampled_from([*SOURCES])), draw(st.sampled_from([*STORES]))
    stages = set(draw(st.lists(st.sampled_from([*STAGES]), unique=True)))
    if "temperature" in stages:  # both hold the entropy
        stages.discard("entropy_coefficient")
    if source not in ("dots", "mopps"):  # nothing predicts
        stages.discard("stop_early")
    given = {N: 8} | SOURCES[source]
    if store == "preemptive":  # what must see each step before the next, or judges groups of one step
        stages -= {"temperature", "entropy_coefficient", "refill", "stop_early"}
        if source in ("adarft", "mopps"):
            given = {N: 8}
        if source == "dots":
            given |= {"dots.selection.reuse_references": False, "dots.selection.mu": 2}
    given |= STORES[store]
    for stage in sorted(stages):
        given |= STAGES[stage]
    return given


# With each other, and with a method, these go together in some ways only; `methods` sets them where they are needed.
TOGETHER = ("dots.selection.references", "dots.selection.mu", "dots.selection.reuse_references")
TOGETHER += (
    "dots.selection.conflicting_answers",
    "dots.selection.score",
    "dots.loss.behaviour",
    "dots.loss.truncation",
)
TOGETHER += ("dots.temperature.entropy", "dots.temperature.anneal_from", "actor_rollout_ref.actor.optim.lr")


@st.composite
def valid_runs(draw: st.DrawFn) -> dict[str, object]:
    """Overrides of a run that starts: methods that go together, and up to six further settings."""
    given = draw(methods())
    free = [key for key in TABLE if key.name not in TOGETHER and key.name not in given]
    for key in draw(st.lists(st.sampled_from(free), max_size=6, unique_by=lambda key: key.name)):
        given[key.name] = draw(key.valid())
    return given


@st.composite
def wrong_settings(draw: st.DrawFn) -> tuple[dict[str, object], str, object]:
    """A valid run, a key of it, and a value that the key may not have."""
    key = draw(st.sampled_from(OF_CHOICE))
    return draw(valid_runs()), key.name, draw(key.invalid())
