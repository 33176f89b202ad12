"""A moving average of what a controller follows: rewards of AdaRFT's target, entropies of E3's temperature."""


def damped(before: float | None, value: float, damping: float) -> float:
    """Exponential moving average: `damping` of the one before, which is None at first, the rest `value`; 0 is none."""
    return value if before is None else damping * before + (1 - damping) * value
