"""The methods of a comparison: their order, names and marks, the same in every table and figure."""

from __future__ import annotations

from dataclasses import dataclass

BASELINE = "grpo"


@dataclass(frozen=True)
class Look:
    """`label`: in tables and legends. `colour`, `dash`, `marker`: matplotlib's; no two methods share a colour or a
    marker.

    The marker alone tells methods apart, as points have no dash, and grey print has no colour.
    """

    label: str
    colour: str
    dash: str
    marker: str


# Colours of Okabe and Ito, and of Tol where these end, which people with a colour-blindness tell apart. In `MAIN`, two
# with the same dashes differ in lightness, too.
LOOKS = {
    "grpo": Look("GRPO", "#000000", "-", "o"),
    "grpo_few": Look("GRPO, 80 questions", "#888888", ":", "x"),
    "dapo": Look("DAPO", "#882255", "--", "s"),
    "mopps": Look("MoPPS", "#CC79A7", "-.", "v"),
    "dots": Look("DOTS", "#56B4E9", "-", "^"),
    "dots_rr": Look("DOTS + RR", "#0072B2", "-.", "D"),
    "dots_rr_levels": Look("DOTS + RR, levels known", "#332288", "--", "p"),
    "adarft": Look("AdaRFT", "#E69F00", "--", "<"),
    "adarft_rr": Look("AdaRFT + RR", "#7A4B00", "-.", ">"),
    "adarft_filter": Look("filter by level", "#DDCC77", "-.", "h"),
    "adarft_schedule": Look("fixed curriculum", "#CC6677", ":", "d"),
    "e3": Look("E3", "#009E73", ":", "X"),
    "e3_entropy": Look("GRPO, 80 questions, entropy bonus", "#AA4499", "-", "+"),
    "e3_temperature": Look("E3, temperature alone", "#44AA99", "--", "1"),
    "e3_annealing": Look("E3, temperature annealed", "#117733", "-.", "2"),
    "dash": Look("DASH", "#999933", ":", "P"),
    "all": Look("all", "#D55E00", "-", "*"),
}
# One of each paper, and all together: what a figure shows that cannot show every method.
MAIN = ("grpo", "dapo", "dots_rr", "adarft", "e3", "all")


def in_order(names: list[str]) -> list[str]:
    """Known methods in the order of `LOOKS`, then others by name."""
    return [name for name in LOOKS if name in names] + sorted(set(names) - set(LOOKS))
