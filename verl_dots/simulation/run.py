"""A simulated run: the steps of one setting with one seed."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.state import Target
from verl_dots.methods.e3.budget_rule import allocate, caps, ranks
from verl_dots.methods.e3.question_rewards import EpochRewards
from verl_dots.methods.e3.temperature_state import TemperatureController
from verl_dots.methods.replay.sampling import fresh_count
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.prediction import Predictor, Quality
from verl_dots.simulation.replay import SimulatedReplay
from verl_dots.simulation.response import Entropy, Learning, Policy
from verl_dots.simulation.selection import Selected
from verl_dots.simulation.sources import NearTarget, Posterior, Rolled, Source, Uniform
from verl_dots.simulation.stopping import Parts, Stopping
from verl_dots.simulation.validation import Validation

VOCABULARY = 151_936  # of Qwen2.5; the temperature depends on its logarithm
POOL, PREDICTIONS, OUTCOMES, CHOICES, REPLAY, AUDIT = range(6)  # streams of random numbers


@dataclass(frozen=True)
class World:
    """What a policy meets, the same for all settings.

    Attributes:
        measured: success rates of the pool.
        learning, quality, entropy: how the policy learns, how good predictions are, how its entropy falls.
        validation: difficulties of the validation questions; None takes the pool's own success rate as the accuracy.
        questions: of the pool, drawn with replacement; None takes each measured one once.
    """

    measured: Measured
    learning: Learning = Learning()
    quality: Quality = Quality()
    entropy: Entropy = Entropy()
    validation: Validation | None = None
    questions: int | None = None

    @property
    def size(self) -> int:
        """Questions of the pool."""
        return self.questions or len(self.measured.success_P)


@dataclass(frozen=True)
class Setting:
    """Settings of one run.

    Attributes:
        label: what it is called in figures.
        values: of the policy and the grid, by key.
        dots: of the methods.
        batch_size, rollouts, temperature: B, n, and the temperature of the first step.
    """

    label: str
    values: dict[str, str]
    dots: DotsConfig
    batch_size: int
    rollouts: int
    temperature: float = 1.0


@dataclass(frozen=True)
class Trace:
    """A run's steps, each an array [S].

    Attributes:
        accuracy: of validation after the step, a share.
        effective: share of the groups that are trained on for the first time whose rewards differ.
        reward: mean success rate of the groups that the step has rolled out to train on.
        signal: what is learnt from, see `response`.
        rollouts: in total so far, references included.
        coverage: share of the questions that have been trained on so far.
        replayed: share of the batch's groups that are replayed.
        stopped: share of the groups with a first part that got no rest, with stopping early.
        saved: rollouts of these as a share of all that the groups would have had.
        lost: stopped groups that would have been effective, as a share of the groups with a first part.
        age: mean age of the replayed groups, steps; nan where there are none.
        ability: mean ability after the step.
        temperature: of the step.
    """

    accuracy: np.ndarray
    effective: np.ndarray
    reward: np.ndarray
    signal: np.ndarray
    rollouts: np.ndarray
    coverage: np.ndarray
    replayed: np.ndarray
    stopped: np.ndarray
    saved: np.ndarray
    lost: np.ndarray
    age: np.ndarray
    ability: np.ndarray
    temperature: np.ndarray


class SimulatedRun:
    """One run, step by step.

    Args:
        world: what the policy meets.
        setting: what is done.
        steps: S, of the whole run.
        seed: of all that is drawn. Runs of one seed have the same questions, whatever their settings.

    Raises:
        ValueError, ConfigError: settings that the pool is too small for.
    """

    def __init__(self, world: World, setting: Setting, steps: int, seed: int):
        self.world, self.setting, self.dots = world, setting, setting.dots
        streams = [np.random.default_rng([seed, stream]) for stream in range(6)]
        difficulty_P, self._success_P = world.measured.difficulties(world.questions, streams[POOL])
        self.policy = Policy(difficulty_P, world.learning, streams[OUTCOMES])
        dots, size = self.dots, setting.batch_size
        self.replay = SimulatedReplay(dots.replay, size, streams[REPLAY]) if dots.replay.enable else None
        self.fresh = fresh_count(size, dots.replay.delta) if self.replay else size
        self.source = self._source(steps, streams)
        self.stopping = Stopping(dots.stop_early, streams[AUDIT]) if dots.stop_early.enable else None
        self._rewards = EpochRewards(len(difficulty_P), setting.rollouts) if dots.budget.enable else None
        self._ranks: tuple[int, np.ndarray] = (-1, np.empty(0))  # epoch, and the ranks in it
        control = TemperatureController(dots.temperature, setting.temperature, VOCABULARY, steps)
        self.controller = control if dots.temperature.enable else None
        self._trained_P = np.zeros(len(difficulty_P), dtype=bool)
        self._trained = self._rolled_out = 0

    def step(self, number: int) -> dict[str, float]:
        """One step; its row of the trace."""
        setting, source, policy = self.setting, self.source, self.policy
        temperature = self.controller.value if self.controller else setting.temperature
        planned_N = source.plan(number, temperature)
        fresh = {*planned_N.tolist(), *source.reused.questions_N.tolist()}
        replayed_N, again = np.empty(0, dtype=np.int64), []
        if self.replay:
            replayed_N, again, missing, taken = self.replay.fill(number, fresh, source.target)
            planned_N = np.concatenate([planned_N, source.top_up(missing, taken)]) if missing else planned_N
        parts = self._roll_out(planned_N, temperature, {*fresh, *replayed_N.tolist(), *planned_N.tolist()})
        own, rolled = parts.whole.and_(source.reused), parts.whole.and_(parts.stopped)
        own = own if len(own.questions_N) else rolled  # a step trains on something
        self._rolled_out += int(rolled.rollouts_N.sum())
        signal = self._train(own, replayed_N, np.array([group.size for group in again], dtype=np.int64), temperature)
        source.observe(number, rolled)
        if self.replay:
            self.replay.keep(number, rolled.and_(source.reused), temperature)
        if self._rewards:  # without reused references, as in a run
            self._rewards.observe(rolled.questions_N, rolled.success_N, rolled.rollouts_N)
        if self.controller:
            self.controller.observe(self.world.entropy.at(policy.mean_ability, temperature), number)
        groups = len(own.questions_N) + len(replayed_N)
        return {
            "accuracy": self._accuracy(),
            "effective": float(own.effective_N.mean()),  # as a run logs it: replayed ones are left out
            "reward": float(own.success_N.mean()),
            "signal": signal,
            "rollouts": self._rolled_out + source.spent,
            "coverage": self._trained / len(self._trained_P),
            "replayed": len(replayed_N) / groups,
            "stopped": len(parts.stopped.questions_N) / max(len(planned_N), 1),
            "saved": parts.saved / max(len(planned_N) * setting.rollouts, 1),
            "lost": parts.lost / max(len(planned_N), 1),
            "age": float(np.mean([number - group.step for group in again])) if again else np.nan,
            "ability": policy.mean_ability,
            "temperature": temperature,
        }

    def _roll_out(self, planned_N: np.ndarray, temperature: float, had: set[int]) -> Parts:
        """The step's questions, and with stopping early the further ones that what it saves is enough for."""
        rollouts_N, policy, n = self._sizes(planned_N), self.policy, self.setting.rollouts
        if self.stopping is None:
            return Parts(Rolled(planned_N, policy.roll_out(planned_N, rollouts_N, temperature), rollouts_N))
        predicted_N = self.source.predicted(planned_N)
        parts = self.stopping.roll_out(policy, planned_N, rollouts_N, temperature, predicted_N)
        count = min(parts.saved // n, len(self._trained_P) - len(had)) if self.dots.stop_early.elsewhere else 0
        if count <= 0:
            return parts
        further_N = self.source.top_up(count, had)
        sizes_N = self._sizes(further_N)
        further = Rolled(further_N, policy.roll_out(further_N, sizes_N, temperature), sizes_N)
        return replace(parts, whole=parts.whole.and_(further))

    def _train(self, own: Rolled, replayed_N: np.ndarray, sizes_N: np.ndarray, temperature: float) -> float:
        """The signal. A replayed group counts as what its question teaches now: its loss corrects for its age."""
        success_N = self.policy.success(replayed_N, temperature)
        now_N = self.world.learning.replayed * success_N * (1 - success_N) * (1 - 1 / np.maximum(sizes_N, 1))
        questions_N = np.concatenate([own.questions_N, replayed_N])
        signal_N = np.concatenate([own.success_N * (1 - own.success_N), now_N])
        rollouts_N = np.concatenate([own.rollouts_N, sizes_N])
        self.policy.train(questions_N, signal_N, rollouts_N)
        new = np.unique(own.questions_N)
        self._trained += int((~self._trained_P[new]).sum())
        self._trained_P[new] = True
        return float(signal_N @ rollouts_N / rollouts_N.sum())

    def _accuracy(self) -> float:
        if self.world.validation is None:
            return float(self.policy.success(np.arange(min(4096, len(self._trained_P)))).mean())
        return self.world.validation.accuracy(self.policy.mean_ability)

    def _sizes(self, planned_N: np.ndarray) -> np.ndarray:
        """[B] rollouts of each question: n, or by E3's budget."""
        if self._rewards is None:
            return np.full(len(planned_N), self.setting.rollouts)
        budget, epoch = self.dots.budget, self._rewards.epoch
        if self._ranks[0] != epoch:
            self._ranks = epoch, ranks(self._rewards.mean_P)
        least, most = caps(epoch, self.setting.rollouts, (budget.least, budget.most), budget.widen)
        return allocate(self._ranks[1][planned_N], self.setting.rollouts, least, most, budget.remainder)

    def _source(self, steps: int, streams: list[np.random.Generator]) -> Source:
        dots, questions, rng = self.dots, len(self._success_P), streams[CHOICES]
        if dots.selection.enable:
            predictor = Predictor(self.policy, self.world.quality, self.setting.rollouts, streams[PREDICTIONS])
            return Selected(
                dots.selection, dots.difficulty, predictor, self.policy, self.setting.batch_size, self.fresh,
                self.setting.rollouts, rng, spare=self.setting.batch_size if dots.stop_early.enable else 0,
            )  # fmt: skip
        if dots.mopps.enable:
            return Posterior(dots.mopps, questions, self.fresh, rng)
        if not dots.adarft.enable:
            return Uniform(np.arange(questions), self.fresh, rng)
        low, high = dots.adarft.range
        static_P = low + (high - low) * (1 - self._success_P)
        least, greatest = dots.adarft.within or (-np.inf, np.inf)
        if dots.adarft.follow == "nothing":
            return Uniform(np.flatnonzero((static_P >= least) & (static_P <= greatest)), self.fresh, rng)
        return NearTarget(Target(dots.adarft, steps), static_P, self.fresh, rng)


def simulate(
    world: World, setting: Setting, steps: int, seed: int, tell: Callable[[int], None] = lambda done: None
) -> Trace:
    """Run all steps of a setting; `tell` is called after each with how many there were."""
    run = SimulatedRun(world, setting, steps, seed)
    rows = []
    for number in range(1, steps + 1):
        rows.append(run.step(number))
        tell(number)
    return Trace(**{field.name: np.array([row[field.name] for row in rows]) for field in fields(Trace)})
