"""E3: the sampling temperature of a run, driven by the policy's entropy."""

import math
from collections.abc import Mapping
from typing import Any

from verl_dots.methods.damping import damped
from verl_dots.methods.e3.settings import TemperatureConfig
from verl_dots.methods.e3.temperature_rule import annealed_target, next_temperature, require_entropy
from verl_dots.state_values import COUNT, POSITIVE, Values


def remembering_no_rounding(saved: dict[str, Any]) -> dict[str, Any]:
    """Of version 2; version 1 had forgotten what the temperatures of groups in flight were rounded from."""
    return saved | {"state": saved["state"] | {"rounded": [], "unrounded": []}}


class TemperatureController:
    """The temperature of one run; one of it, on the driver.

    Args:
        settings: of the controller.
        initial: temperature of the first steps.
        vocabulary: tokens of the policy.
        steps: of the whole run, for annealing.

    Attributes:
        value: of the step, unrounded.
        unrounded: what steps were given where that is not `value` -> the last `value` that was rounded to it.
    """

    def __init__(self, settings: TemperatureConfig, initial: float, vocabulary: int, steps: int):
        self.settings, self.vocabulary, self.steps = settings, vocabulary, steps
        self.value = initial
        self.unrounded: dict[float, float] = {}
        self._first: list[float] = []  # entropies of the first steps, until the target is known
        self._target = settings.target
        self._mean: float | None = None  # moving average of the entropy

    def target(self, step: int) -> float | None:
        """Entropy to hold at a step, in nats; None while it is being measured."""
        if self._target is None or self.settings.anneal_from is None:
            return self._target
        begin = math.floor(self.settings.anneal_from * self.steps + 1e-9)  # 0.7 * 90 is 62.99999999999999
        return annealed_target(self._target, step, begin, self.steps, self.settings.anneal_to)

    def rounded_to(self, given: float) -> None:
        """A step's rollouts are sampled at this temperature, in place of `value`."""
        if given != self.value:
            self.unrounded[given] = self.value
        else:
            self.unrounded.pop(given, None)

    def observe(self, entropy: float, step: int, sampled_at: float | None = None) -> dict[str, float]:
        """Take in the mean entropy of a step's tokens, and set the temperature of the next step.

        Args:
            entropy: in nats.
            step: that trains on the tokens.
            sampled_at: temperature of these, where an earlier step has asked for them; None is that of the step.

        Returns:
            temperature, target and entropy of the step.

        Raises:
            ValueError: the entropy is not finite, or below 0.
        """
        require_entropy(entropy)
        figures = {"temperature": self.value, "entropy": entropy}
        self._mean = damped(self._mean, entropy, self.settings.damping)
        if self._target is None:
            self._first.append(entropy)
            if len(self._first) == self.settings.warm_up:
                self._target = max(sum(self._first) / len(self._first), 1e-6)
            return figures
        target = self.target(step)
        before = self.value if sampled_at is None else sampled_at
        low, high = self.settings.low, self.settings.high
        self.value = next_temperature(before, self._mean, target, self.vocabulary, low, high)
        return figures | {"target": target}

    def state_dict(self) -> dict[str, Any]:
        rounded, unrounded = list(self.unrounded), list(self.unrounded.values())
        return {
            "value": self.value, "first": list(self._first), "target": self._target, "mean": self._mean,
            "rounded": rounded, "unrounded": unrounded,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("temperature controller", state, {"value", "first", "target", "mean", "rounded", "unrounded"})
        value, first = saved.number("value", POSITIVE), saved.numbers("first", COUNT)
        target = saved.number("target", POSITIVE) if saved.given("target") else None
        if target is None and (self.settings.target is not None or len(first) >= self.settings.warm_up):
            raise saved.wrong("target", "an entropy above 0: it is given, or the steps that measure it are over")
        rounded, unrounded = saved.numbers("rounded", POSITIVE), saved.numbers("unrounded", POSITIVE)
        if len(set(rounded)) != len(unrounded) or len(rounded) != len(unrounded):
            raise saved.wrong("rounded", f"{len(unrounded)} numbers that differ")
        self._mean = saved.number("mean", COUNT) if saved.given("mean") else None
        self.unrounded = dict(zip(rounded, unrounded, strict=True))
        self.value, self._first, self._target = value, first, target
