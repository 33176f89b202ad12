"""Numbers as texts that read back as the same."""

WHOLE_BELOW = 2**53  # from there on a float64 is not every whole number


def number_text(value: float) -> str:
    """The shortest text of a number: 1e10 as 10000000000, 0.1 as 0.1, 3.0 as 3; empty for nan."""
    number = float(value)
    if number != number:
        return ""
    return str(int(number)) if number.is_integer() and abs(number) <= WHOLE_BELOW else repr(number)
