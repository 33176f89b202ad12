"""What budgets by predictions give beside DOTS's selection: simulated questions, the rules of the package.

    python -m scripts.bench_budgets [--tau 0.001] [--rho 0.4] [--seeds 5] [--rounds 200]

A question has a logit of success, normal with mean 0 and deviation 2. Its prediction is the posterior mean given that
logit plus noise; the noise differs between questions, and is scaled so that predicted and true difficulty correlate by
rho. A round selects 64 questions near difficulty 0.5 and deals out 8 rollouts each, 4 to 12 a question. Expected, over
the rollouts that it could have: the share of groups with mixed outcomes, the share that are all wrong, and the gradient
signal of a rollout, sum (G - 1) p (1 - p) / sum G (theorem 1 of arXiv 2506.05316, each row counting alike). Differences
from no budgets are in points, of the signal in percent: means over the seeds, with their standard deviation.
"""

import argparse

import numpy as np

from verl_dots.methods.e3.budget_rule import allocate
from verl_dots.methods.selection.rule import select
from verl_dots.terminal import output

QUESTIONS, BATCH, N, LEAST, MOST = 4096, 64, 8, 4, 12
SPREAD, NOISE = 2.0, 0.5  # deviations of the logits, and of the logarithm of the noise
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
NAMES = ("effective", "all wrong", "signal")


def predictions(logit_P: np.ndarray, noise_P: np.ndarray, seen_P: np.ndarray) -> tuple[np.ndarray, ...]:
    """[P] posterior of the success rate: expected difficulty, deviation, and expected p (1 - p)."""
    share_P = SPREAD**2 / (SPREAD**2 + noise_P**2)
    mean_P, deviation_P = share_P * (logit_P + noise_P * seen_P), np.sqrt(share_P) * noise_P
    rate_PN = 1 / (1 + np.exp(-mean_P[:, None] - deviation_P[:, None] * NODES))
    weight_N = WEIGHTS / WEIGHTS.sum()
    rate_P, square_P = rate_PN @ weight_N, rate_PN**2 @ weight_N
    return 1 - rate_P, np.sqrt(np.maximum(square_P - rate_P**2, 1e-12)), rate_P - square_P


def questions(rho: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """[P] success rates, and what is predicted of them with a correlation of rho."""
    logit_P, seen_P = SPREAD * rng.normal(size=QUESTIONS), rng.normal(size=QUESTIONS)
    noise_P, rate_P = np.exp(NOISE * rng.normal(size=QUESTIONS)), 1 / (1 + np.exp(-logit_P))
    low, high = 0.01, 100.0
    for _ in range(40):
        level = np.sqrt(low * high)
        found = np.corrcoef(predictions(logit_P, level * noise_P, seen_P)[0], 1 - rate_P)[0, 1]
        low, high = (level, high) if found > rho else (low, level)
    return rate_P, *predictions(logit_P, level * noise_P, seen_P)


def figures(rate_B: np.ndarray, rollouts_B: np.ndarray) -> tuple[float, float, float]:
    right_B, wrong_B = rate_B**rollouts_B, (1 - rate_B) ** rollouts_B
    signal = ((rollouts_B - 1) * rate_B * (1 - rate_B)).sum() / rollouts_B.sum()
    return 100 * float((1 - right_B - wrong_B).mean()), 100 * float(wrong_B.mean()), float(signal)


def simulate(tau: float, rho: float, seed: int, rounds: int) -> dict[str, np.ndarray]:
    """Mean figures of each way to deal out the rollouts."""
    rng = np.random.default_rng(seed)
    rate_P, difficulty_P, deviation_P, mixed_P = questions(rho, rng)
    ranks_P = (np.argsort(np.argsort(difficulty_P)) + 0.5) / QUESTIONS
    ways = {
        "predicted difficulty": difficulty_P, "its rank in the data set": ranks_P, "uncertain ones more": deviation_P,
        "uncertain ones fewer": 1 / deviation_P, "expected p (1 - p)": mixed_P,
    }  # fmt: skip
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        chosen_B = select(difficulty_P, BATCH, 0.5, tau, rng)
        rate_B = rate_P[chosen_B]
        found.setdefault("none", []).append(figures(rate_B, np.full(BATCH, N)))
        for name, weight_P in ways.items():
            for remainder in ("hardest", "spread"):
                rollouts_B = allocate(weight_P[chosen_B], N, LEAST, MOST, remainder)
                found.setdefault(f"{name}, {remainder}", []).append(figures(rate_B, rollouts_B))
    return {name: np.mean(of_rounds, axis=0) for name, of_rounds in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench_budgets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tau", type=float, default=0.001, help="temperature of the selection (default: 0.001)")
    parser.add_argument(
        "--rho", type=float, default=0.4, help="correlation of predictions with the truth (default: 0.4)"
    )
    parser.add_argument("--seeds", type=int, default=5, help="simulated data sets (default: 5)")
    parser.add_argument("--rounds", type=int, default=200, help="rounds of selection in each (default: 200)")
    options = parser.parse_args()
    runs = [simulate(options.tau, options.rho, seed, options.rounds) for seed in range(1, options.seeds + 1)]
    console = output()
    none = np.array([run["none"] for run in runs])
    effective, wrong, signal = none.mean(axis=0)
    console.print(f"none: {effective:.1f} % effective, {wrong:.1f} % all wrong, signal {signal:.4f} a rollout")
    for name in list(runs[0])[1:]:
        more = np.array([run[name] for run in runs]) - none
        more[:, 2] *= 100 / none[:, 2]
        cells = [f"{m:+.2f} ± {s:.2f} % {of}" for m, s, of in zip(more.mean(0), more.std(0), NAMES, strict=True)]
        console.print(f"{name + ':':<36}{', '.join(cells)}")


if __name__ == "__main__":
    main()
