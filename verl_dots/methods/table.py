"""The stages of the methods that there are. `config.py` names their settings; nothing else names a method."""

from omegaconf import DictConfig

from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.stage import AdaRFT, AdaRFTTarget
from verl_dots.methods.dash.filter_stage import BalancedFilter, Filter
from verl_dots.methods.dash.preemptive_stage import Preemptive
from verl_dots.methods.e3.stages import Budget, LengthPenalty, Temperature
from verl_dots.methods.entropy_coefficient.stage import EntropyCoefficient
from verl_dots.methods.hooks import Source, Stage, Store
from verl_dots.methods.loader import DataLoader
from verl_dots.methods.mopps.stage import MoPPS
from verl_dots.methods.refill.stage import Refill
from verl_dots.methods.replay.loss_stage import GroupAdvantage, Loss
from verl_dots.methods.replay.stage import Replay
from verl_dots.methods.selection.stage import Selection
from verl_dots.methods.stop_early.stage import StopEarly
from verl_dots.state import Kind

# In the order in which a step calls their hooks, and a checkpoint restores them.
METHODS: tuple[type[Stage], ...] = (
    Selection,
    AdaRFT,
    AdaRFTTarget,
    MoPPS,
    Budget,
    Temperature,
    EntropyCoefficient,
    LengthPenalty,
    StopEarly,
    Refill,
    Preemptive,
    Replay,
    GroupAdvantage,
    Loss,
    Filter,
    BalancedFilter,
)


def enabled(dots: DotsConfig, config: DictConfig) -> tuple[type[Stage], ...]:
    """The stages of a run with these settings, its source of questions first.

    Raises:
        ValueError: more than one source or store, which the refusals of the methods tell apart before a run.
    """
    found = [stage for stage in METHODS if stage.enabled(dots, config)]
    sources = [stage for stage in found if issubclass(stage, Source)] or [DataLoader]
    stores = [stage for stage in found if issubclass(stage, Store)]
    if len(sources) > 1 or len(stores) > 1:
        names = [stage.name for stage in (sources if len(sources) > 1 else stores)]
        raise ValueError(f"{' and '.join(names)} cannot be enabled together; enable one of them")
    return (sources[0], *(stage for stage in found if stage is not sources[0]))


def source_of(stages: tuple[type[Stage], ...]) -> type[Source]:
    """Where the questions of a run with these stages come from."""
    return next(stage for stage in stages if issubclass(stage, Source))


def store_of(stages: tuple[type[Stage], ...]) -> type[Store] | None:
    """What keeps the rollouts of a run with these stages for later steps, if anything does."""
    return next((stage for stage in stages if issubclass(stage, Store)), None)


def one_by_one(stages: tuple[type[Stage], ...]) -> bool:
    """Whether the data loader must give questions one by one: each must be known, or their number changes."""
    return source_of(stages) is DataLoader and any(stage.knows_questions for stage in stages)


def state_kinds(dots: DotsConfig, config: DictConfig) -> tuple[Kind, ...]:
    """Of the states that a run with these settings keeps, one for each stage that remembers anything."""
    remembers = [stage for stage in enabled(dots, config) if stage.state_dict is not Stage.state_dict]
    return tuple({stage.name: stage.state_kind() for stage in remembers}.values())
