"""What stopping early saves and what it loses, on measured success rates: nothing is trained.

    python -m scripts.bench_stopping --difficulties DATA.parquet [--rho 0.75] [--n 8] [--first 4] [--seeds 5]

DATA is what `python -m verl_dots.simulate --difficulties` reads. Each seed draws every question's success rate from its
posterior, and predictions that correlate with the truth by rho. Questions are drawn from the whole pool, or are those
that DOTS's selection takes. For each of them all shares are exact: of first rollouts that are alike, of groups that
would have been effective, and of the rest's outcomes. "lost" is a share of the effective groups. "gain" is saved less
lost: what is saved is spent on further questions, and below 0 these give fewer effective groups than stopping loses.
"signal" is the same of r (1 - r), r a group's mean reward, in which groups near 0 and 1 count little. Means over the
seeds; of the last two the deviation, too.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import binom

from verl_dots.methods.selection.rule import select
from verl_dots.methods.stop_early.rule import alike_probability, shares
from verl_dots.simulation.difficulties import read_difficulties
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.prediction import Predictor, Quality
from verl_dots.simulation.response import Learning, Policy
from verl_dots.terminal import output

BATCH, REFERENCES, TAU, ROUNDS = 512, 256, 1e-3, 4
NAMES = ("stopped %", "saved %", "lost %", "false stops %", "expected %", "gain %", "signal %")

Rule = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # difficulties -> chances that the rest is alike, by end


def by_prediction(strength: float, first: int, n: int) -> Rule:
    """The rule of a run: chances by the predicted difficulty."""

    def chances(difficulty_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grid = np.linspace(0, 1, 1001)
        right = [alike_probability([1.0] * first, n, float(d), strength, (0.0, 1.0)) for d in grid]
        return np.interp(1 - difficulty_N, grid, right), np.interp(difficulty_N, grid, right)

    return chances


def always(difficulty_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rule that stops whatever is alike."""
    return np.ones(len(difficulty_N)), np.ones(len(difficulty_N))


def figures(success_N: np.ndarray, chances: tuple[np.ndarray, np.ndarray], least: float, first: int, n: int) -> tuple:
    """The row of one rule on groups of known success rates; stops where the chance is `least` or more."""
    stops = chances[0] >= least, chances[1] >= least
    found = shares(success_N, first, n, stops)
    stopped, lost, effective, saved = (float(np.mean(share)) for share in found)
    before = success_N * (1 - success_N) * (1 - 1 / n)
    lost_signal = sum(stop * of_end(success_N, end, first, n) for end, stop in enumerate(stops))
    begun = (1 - success_N) ** first, success_N**first
    expected = sum((stop * of * (1 - chance)).mean() for stop, of, chance in zip(stops, begun, chances, strict=True))
    gain = saved - lost / effective
    signal = saved - lost_signal.mean() / before.mean()
    of_stopped = max(stopped, 1e-12)
    return tuple(
        100 * share
        for share in (stopped, saved, lost / effective, lost / of_stopped, expected / of_stopped, gain, signal)
    )


def of_end(success_N: np.ndarray, end: int, first: int, n: int) -> np.ndarray:
    """[N] expected r (1 - r) of groups whose first rollouts are all wrong (end 0) or all right (end 1)."""
    p_N = success_N if end else 1 - success_N
    more = np.arange(n - first + 1)
    r = (first + more) / n
    return p_N**first * (binom.pmf(more, n - first, p_N[:, None]) @ (r * (1 - r)))


def one_seed(measured: Measured, quality: Quality, cases: dict, first: int, n: int, seed: int) -> dict:
    """(draw, rule) -> its row."""
    streams = [np.random.default_rng([seed, stream]) for stream in range(3)]
    difficulty_P, _ = measured.difficulties(None, streams[0])
    policy = Policy(difficulty_P, Learning(), streams[0])
    success_P = policy.success(np.arange(len(difficulty_P)))
    predictor = Predictor(policy, quality, n, streams[1])
    predictor.renew(REFERENCES)
    predicted_P = predictor.difficulty(predictor.argument())
    chosen = [select(predicted_P, min(BATCH, len(predicted_P)), 0.5, TAU, streams[2]) for _ in range(ROUNDS)]
    draws = {"the whole pool": np.arange(len(predicted_P)), "DOTS's selection": np.concatenate(chosen)}
    rows = {}
    for draw, place in draws.items():
        for name, (rule, least) in cases.items():
            success_N = success_P[place]
            known = rule(predicted_P[place]) if rule else ((1 - success_N) ** (n - first), success_N ** (n - first))
            rows[draw, name] = figures(success_N, known, least, first, n)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_stopping",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--difficulties", nargs="+", type=Path, required=True, help="labels, or data with difficulties in 0..100")
    add("--tries", type=int, default=128, help="behind a success rate whose file does not say (default: 128)")
    add("--rho", type=float, default=0.75, help="of predicted and true difficulty (default: 0.75)")
    add("--n", type=int, default=8, help="rollouts of a group (default: 8)")
    add("--first", type=int, default=4, help="of which come first (default: 4)")
    add("--confidence", nargs="+", type=float, default=[0.7, 0.8], help="that stop (default: 0.7 0.8)")
    add("--strength", nargs="+", type=float, default=[1, 2, 4, 8], help="of predictions (default: 1 2 4 8)")
    add("--seeds", type=int, default=5, help="drawn pools (default: 5)")
    options = parser.parse_args()
    first, n = options.first, options.n
    measured = read_difficulties(options.difficulties, options.tries, (0.0, 100.0))
    cases: dict = {"without predictions, all that are alike": (always, 0.5)}
    for strength in options.strength:
        for confidence in options.confidence:
            cases[f"strength {strength:g}, confidence {confidence:g}"] = by_prediction(strength, first, n), confidence
    for confidence in options.confidence:
        cases[f"success rates known, confidence {confidence:g}"] = None, confidence
    quality = Quality(options.rho, REFERENCES)
    found = [one_seed(measured, quality, cases, first, n, seed) for seed in range(1, options.seeds + 1)]
    console = output()
    for draw, name in found[0]:
        rows_S = np.array([rows[draw, name] for rows in found])
        mean, deviation = rows_S.mean(axis=0), rows_S.std(axis=0)
        cells = [f"{value:8.1f}" for value in mean[:5]]
        cells += [f"{value:+7.1f} ± {of:3.1f}" for value, of in zip(mean[5:], deviation[5:], strict=True)]
        if name.startswith("without"):
            console.print(f"\n{draw:<42}" + "".join(f"{of:>14}" for of in NAMES))
        console.print(f"{name:<42}" + "".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    main()
