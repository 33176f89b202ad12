"""The accuracy that a validation set shows at an ability."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from verl_dots.simulation.prediction import smoothed


@dataclass(frozen=True)
class Validation:
    """Questions with normal latent difficulties, which a policy of any ability meets as one distribution.

    Attributes:
        mean, deviation: of their latent difficulties, logits.
    """

    mean: float
    deviation: float

    def accuracy(self, ability: float) -> float:
        """Mean success rate at an ability."""
        return float(smoothed(expit, np.array([ability - self.mean]), self.deviation)[0])
