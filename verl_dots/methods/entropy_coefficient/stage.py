"""The adaptive entropy bonus in a train step: verl's own, with another coefficient in each update."""

from collections.abc import Mapping
from typing import Any

from verl_dots.bridge.queue.rows import Rows
from verl_dots.methods.entropy import token_entropy
from verl_dots.methods.entropy_coefficient.checks import refuse_entropy_coefficient
from verl_dots.methods.entropy_coefficient.rule import bonus, next_coefficient
from verl_dots.methods.hooks import Stage
from verl_dots.methods.run import Run
from verl_dots.state_values import COUNT, Values
from verl_dots.step import Step


class EntropyCoefficient(Stage):
    """The coefficient for one run of the trainer."""

    name = "entropy_coefficient"
    METRICS = {
        "coefficient": "that the step began with",
        "bonus": "coefficient of the step's update: the same, or 0 where the entropy is above its target",
        "entropy": "mean entropy of the tokens of the step's own rollouts, in nats",
    }
    refuse = staticmethod(refuse_entropy_coefficient)

    def __init__(self, run: Run):
        super().__init__(run)
        self.settings = run.dots.entropy_coefficient
        self.value = self.settings.initial

    def reduce(self, step: Step, rows: Rows) -> Rows:
        """Set the coefficient of the update, and the next step's.

        A step without an update changes nothing, and where all of its own rollouts have failed the update has no bonus.
        """
        entropy, settings = token_entropy(rows), self.settings
        if entropy is None:
            self.run.trainer.set_entropy_coefficient(0.0)
            return rows
        acting = bonus(self.value, entropy, settings.target)
        self.run.trainer.set_entropy_coefficient(acting)
        figures = {"coefficient": self.value, "bonus": acting, "entropy": entropy}
        self._figures = {f"{self.name}/{name}": value for name, value in figures.items()}
        self.value = next_coefficient(self.value, entropy, settings.target, settings.delta, settings.most)
        return rows

    def state_dict(self) -> dict[str, Any]:
        """The coefficient."""
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value = Values("entropy coefficient", state, {"value"}).number("value", COUNT)
