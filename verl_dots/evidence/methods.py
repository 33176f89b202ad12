"""The methods of a comparison: their order, names and marks, the same in every table and figure."""

from __future__ import annotations

from dataclasses import dataclass

BASELINE = "grpo"


@dataclass(frozen=True)
class Look:
    """`label`: in tables and legends. `colour`, `dash`, `marker`: matplotlib's; no two methods share all three."""

    label: str
    colour: str
    dash: str
    marker: str


# Colours of Okabe and Ito, which people with a colour-blindness tell apart; dashes and markers for print.
LOOKS = {
    "grpo": Look("GRPO", "#000000", "-", "o"),
    "grpo_few": Look("GRPO, 80 questions", "#000000", ":", "o"),
    "dapo": Look("DAPO", "#000000", "--", "s"),
    "mopps": Look("MoPPS", "#CC79A7", "-.", "v"),
    "dots": Look("DOTS", "#56B4E9", "-", "^"),
    "dots_rr": Look("DOTS + RR", "#0072B2", "-", "D"),
    "dots_rr_levels": Look("DOTS + RR, levels known", "#0072B2", "--", "D"),
    "adarft": Look("AdaRFT", "#E69F00", "--", "<"),
    "adarft_rr": Look("AdaRFT + RR", "#E69F00", "-", "<"),
    "e3": Look("E3", "#009E73", "-.", ">"),
    "dash": Look("DASH", "#999933", ":", "P"),
    "all": Look("all", "#D55E00", "-", "*"),
}


def in_order(names: list[str]) -> list[str]:
    """Known methods in the order of `LOOKS`, then others by name."""
    return [name for name in LOOKS if name in names] + sorted(set(names) - set(LOOKS))
