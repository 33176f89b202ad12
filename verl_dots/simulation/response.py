"""How a policy answers, and how it learns: success rates by difficulty and ability, and an ability that rises.

A question q has a latent difficulty d_q, a policy an ability a, both in logits: q is solved with the probability
logistic((a - d_q) / T) at the temperature T. The ability is 0 at the start. A step that trains on groups of rollouts
raises it by

    rate * signal * (1 - a / ceiling),    signal = mean over rollouts of r (1 - r), r the mean reward of the group.

The mean of r (1 - r) is p (1 - p) (1 - 1/G), to which E|g|^2 is proportional (arXiv 2506.05316, theorem 1).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from verl_dots.settings import require

BAND = 0.5  # logits
MOST = 12.0  # logits: beyond it a success rate is 0 or 1 for any number of rollouts that one pays for


@dataclass(frozen=True)
class Learning:
    """How the ability rises.

    Attributes:
        rate: logits of a step whose signal is 1, at the ability of the start.
        ceiling: ability that is approached and not passed, logits.
        local: share of what is learnt that helps questions of like difficulty alone; 0 helps all alike. With it, hard
            questions become learnable once those a little easier are learnt.
        width: logits over which that share spreads, the standard deviation of a Gaussian.
        replayed: what a replayed group teaches, as a share of a fresh one of the same success rate. An assumption: the
            loss corrects for a group's age, but clips, and repeats what was learnt.
    """

    rate: float = 0.5
    ceiling: float = 3.0
    local: float = 0.0
    width: float = 1.5
    replayed: float = 1.0

    def __post_init__(self):
        for name in ("rate", "ceiling", "width"):
            require(f"--{name}", getattr(self, name), getattr(self, name) > 0, "must be above 0")
        for name in ("local", "replayed"):
            require(f"--{name}", getattr(self, name), 0 <= getattr(self, name) <= 1, "must be a share in 0..1")

    def raised(self, ability: np.ndarray | float, signal: np.ndarray | float) -> np.ndarray | float:
        """The ability after a step of a signal."""
        return ability + self.rate * signal * (1 - ability / self.ceiling)


@dataclass(frozen=True)
class Entropy:
    """Entropy of the policy's tokens: initial * exp(-decay * ability) * T^power, in nats.

    The power is an assumption: a run at one temperature tells nothing of it.
    """

    initial: float = 0.3
    decay: float = 0.3
    power: float = 2.0

    def at(self, ability: float, temperature: float) -> float:
        return self.initial * float(np.exp(-self.decay * ability)) * temperature**self.power


class Policy:
    """A policy that is trained, and the questions that it answers.

    Args:
        difficulty_P: [P] latent difficulties, logits.
        learning: how its ability rises.
        rng: draws the outcomes of rollouts.
    """

    def __init__(self, difficulty_P: np.ndarray, learning: Learning, rng: np.random.Generator):
        self.difficulty_P = np.clip(difficulty_P, -MOST, MOST).astype(np.float32)
        self.learning, self.rng = learning, rng
        centres = np.arange(-MOST, MOST + BAND, BAND, dtype=np.float32) if learning.local else np.zeros(1, np.float32)
        distance_LL = (centres[:, None] - centres[None]) / learning.width
        self._spread_LL = 1 - learning.local * (1 - np.exp(-(distance_LL**2) / 2))
        self._ability_L = np.zeros(len(centres), dtype=np.float32)

    def ability(self, difficulty_N: np.ndarray) -> np.ndarray:
        """[N] ability for questions of some difficulties, or one number for all where nothing is local."""
        if len(self._ability_L) == 1:
            return self._ability_L[0]
        return self._ability_L[_band(difficulty_N)]

    @property
    def mean_ability(self) -> float:
        """Over the questions of a fixed sample."""
        return float(np.mean(self.ability(self.difficulty_P[:4096])))

    def success(self, questions_N: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """[N] success rates of questions at a temperature."""
        difficulty_N = self.difficulty_P[questions_N]
        return expit((self.ability(difficulty_N) - difficulty_N).astype(np.float64) / temperature)

    def roll_out(self, questions_N: np.ndarray, rollouts_N: np.ndarray, temperature: float) -> np.ndarray:
        """[N] successes in some rollouts of each question."""
        return self.rng.binomial(rollouts_N, self.success(questions_N, temperature))

    def train(self, questions_N: np.ndarray, signal_N: np.ndarray, rollouts_N: np.ndarray) -> None:
        """Learn from a step's groups.

        Args:
            questions_N: of the groups.
            signal_N: r (1 - r) of each.
            rollouts_N: of each, which they are weighted by.
        """
        weight_N = signal_N * rollouts_N / rollouts_N.sum()
        bands_N = _band(self.difficulty_P[questions_N]) if len(self._ability_L) > 1 else np.zeros(len(weight_N), int)
        signal_L = self._spread_LL @ np.bincount(bands_N, weight_N, minlength=len(self._ability_L))
        self._ability_L = self.learning.raised(self._ability_L, signal_L).astype(np.float32)


def _band(difficulty_N: np.ndarray) -> np.ndarray:
    return np.rint((np.clip(difficulty_N, -MOST, MOST) + MOST) / BAND).astype(np.int64)
