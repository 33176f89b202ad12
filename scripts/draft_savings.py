"""What earlier rollouts could save as drafts of new ones: the tables of verl_dots/methods/replay/DRAFTS.md.

    python -m scripts.draft_savings [--write]

Assumed, not measured: a token of a draft is rejected with the same probability r wherever it stands, and with it all
behind it; a draft is never too old; a forward pass of the drafts costs nothing. How often questions come again is
computed for verl's epochs. For DOTS's selection it is simulated, with the simulator's policy and predictions of rho
0.75, on success rates of Beta(0.28, 1.21): those of DeepScaleR, by AdaRFT's difficulties.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts import sections
from verl_dots.config import DotsConfig
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.run import Setting, SimulatedRun, World

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "verl_dots/methods/replay/DRAFTS.md"
SCRIPT = "python -m scripts.draft_savings"
LENGTHS, REJECTIONS = (25, 1000, 4000, 16_000), (0.01, 0.001, 0.0003, 0.0001)
SIZES, STEPS, RECENT, ROLLOUTS = (2_500, 10_240, 40_000), 60, 10, 8
PRIOR, TAUS = (0.28, 1.21), (1e-3, 0.05, 0.3)
CASES = ((1000, 0.001), (4000, 0.0003))  # (tokens, r) of the savings


class Seen(NamedTuple):
    """How often a question that is rolled out was rolled out before, as shares of all rollouts of a run.

    Attributes:
        ever: at any earlier step.
        recently: within the last `RECENT` steps.
    """

    ever: float
    recently: float


def reused(length: int, rejection: float) -> float:
    """Share of a response of `length` tokens before its first rejected one: (1 - r) (1 - (1 - r)^L) / (r L).

    Raises:
        ValueError: no tokens, or a probability outside (0, 1].
    """
    if length < 1 or not 0 < rejection <= 1:
        raise ValueError(f"{length} tokens and a rejection of {rejection}: give 1 or more, and one in (0, 1]")
    kept = 1 - rejection
    return kept * (1 - kept**length) / (rejection * length)


def seen_in_epochs(questions: int, fresh: int, steps: int, recent: int) -> Seen:
    """Where every question comes once in each epoch, at a place drawn anew.

    Of S F rollouts the first P have no draft: ever = 1 - P / (S F). The places u of two epochs that follow each other
    are uniform, so a question comes again after 1 + u' - u epochs: within x of them with probability x^2 / 2 up to
    1, 1 - (2 - x)^2 / 2 up to 2. x is k F / P for k steps. The end of a run within an epoch is passed over.
    """
    ever = max(0.0, 1 - questions / (steps * fresh))
    epochs = min(recent * fresh / questions, 2.0)
    return Seen(ever, ever * (epochs**2 / 2 if epochs <= 1 else 1 - (2 - epochs) ** 2 / 2))


def seen_by_selection(questions: int, batch: int, steps: int, recent: int, tau: float, seed: int = 1) -> Seen:
    """Where DOTS's selection draws the questions, simulated; references that only measure give no drafts."""
    pool = Measured(np.full(questions, 0.5), np.zeros(questions), PRIOR)
    dots = DotsConfig(selection=SelectionConfig(enable=True, references=256, reuse_references=False, tau=tau))
    run = SimulatedRun(World(pool), Setting("dots", {}, dots, batch, ROLLOUTS), steps, seed)
    last_P = np.full(questions, -np.inf)
    ever = recently = count = 0
    plan = run.source.plan

    def watched(step: int, temperature: float) -> np.ndarray:
        nonlocal ever, recently, count
        planned_N = plan(step, temperature)
        ages_N = step - last_P[planned_N]
        ever, recently = ever + int(np.isfinite(ages_N).sum()), recently + int((ages_N <= recent).sum())
        count += len(planned_N)
        last_P[planned_N] = step
        return planned_N

    run.source.plan = watched
    for number in range(1, steps + 1):
        run.step(number)
    return Seen(ever / count, recently / count)


def prefixes() -> str:
    """The table of what is reused of one response."""
    head = ["tokens of a response", *(f"r = {100 * r:g} %" for r in REJECTIONS)]
    rows = [[f"{length:,}", *(f"{percent(reused(length, r))} %" for r in REJECTIONS)] for length in LENGTHS]
    return sections.table(head, rows, "r" * len(head))


def savings() -> str:
    """The table of how often questions come again, and what that saves of generation."""
    head = ["questions", "drawn by", "fresh questions a step", "seen before", f"within {RECENT} steps"]
    head += [f"saved at {length:,} tokens, r = {100 * r:g} %" for length, r in CASES]
    rows = []
    for questions in SIZES:
        ways = {("epochs", fresh): seen_in_epochs(questions, fresh, STEPS, RECENT) for fresh in (512, 256)}
        ways |= {
            (f"selection, tau {tau:g}", 512): seen_by_selection(questions, 512, STEPS, RECENT, tau) for tau in TAUS
        }
        for (way, fresh), seen in ways.items():
            cells = [percent(seen.ever), percent(seen.recently)]
            cells += [percent(seen.ever * reused(length, r)) for length, r in CASES]
            rows.append([f"{questions:,}", way, str(fresh), *(f"{cell} %" for cell in cells)])
    return sections.table(head, rows, "rl" + "r" * (len(head) - 2))


def percent(share: float) -> str:
    return f"{100 * share:.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or compare them: exit 1 if the document has others."""
    write, found = sections.asked_to_write(__doc__, arguments), 0
    for name, table in (("prefixes", prefixes), ("savings", savings)):
        found |= sections.settle(DOCUMENT, sections.with_section(DOCUMENT, name, SCRIPT, table()), write)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
