"""The parameters of learning, out of the logs of runs that sampled uniformly.

Under uniform sampling the expected signal of a step is the mean of p (1 - p) (1 - 1/G) over the pool: nothing is drawn,
and all that a run logs has an expectation. Least squares, each number divided by the standard deviation that sampling
alone would give it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import beta

from verl_dots.settings import ConfigError
from verl_dots.simulation.pool import Measured, latent
from verl_dots.simulation.prediction import Quality
from verl_dots.simulation.response import Entropy, Learning, Policy
from verl_dots.simulation.run_logs import RunLog
from verl_dots.simulation.validation import Validation
from verl_dots.step import effective_share

SAMPLE = 4096  # questions of the pool
QUANTILES = 512  # of a pool that is fitted
VALIDATION_QUESTIONS = 500  # by which the scatter of an accuracy is reckoned
BOUNDS = {
    "rate": (1e-3, 1e3), "ceiling": (0.05, 20.0), "validation mean": (-15.0, 15.0), "validation deviation": (0.1, 20.0),
    "a": (0.05, 50.0), "b": (0.05, 50.0),
}  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What is expected of a run with uniform sampling, by step: before each step, and the ability after it."""

    effective_S: np.ndarray
    reward_S: np.ndarray
    ability_S: np.ndarray


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes:
        learning, validation: the parameters.
        prior: (a, b) of the pool's success rates.
        values: name -> (value, standard error); an error near the value says that the runs do not tell it.
        misfit: mean squared residual of each kind of number; 1 is what sampling alone would leave.
    """

    learning: Learning
    validation: Validation | None
    prior: tuple[float, float]
    values: dict[str, tuple[float, float]]
    misfit: dict[str, float]


def expected(difficulty_P: np.ndarray, learning: Learning, rollouts: int, steps: int, temperature: float) -> Expected:
    """The expectation of a run that samples uniformly from questions of some latent difficulties."""
    policy = Policy(difficulty_P, learning, np.random.default_rng(0))
    questions_P, same_P = np.arange(len(difficulty_P)), np.ones(len(difficulty_P))
    rows = []
    for _ in range(steps):
        success_P = policy.success(questions_P, temperature)
        policy.train(questions_P, success_P * (1 - success_P) * (1 - 1 / rollouts), same_P)
        rows.append((effective_share(success_P, rollouts).mean(), success_P.mean(), policy.mean_ability))
    return Expected(*np.array(rows).T)


def fit(logs: Sequence[RunLog], measured: Measured | None, start: Learning) -> Fit:
    """Fit rate, ceiling and the validation questions to runs; without measured difficulties the pool's, too.

    Args:
        logs: of runs with uniform sampling.
        measured: the pool; None fits Beta(a, b).
        start: where the search begins; its share `local` and `width` stay.

    Raises:
        ConfigError: a run that did not sample uniformly.
    """
    _require_uniform(logs)
    validated = any(log.accuracy for log in logs)
    names = ["rate", "ceiling", *["validation mean", "validation deviation"] * validated]
    first = {"rate": start.rate, "ceiling": start.ceiling, "validation mean": 0.0, "validation deviation": 2.0}
    if measured is None:
        names += ["a", "b"]
        first |= {"a": 0.5, "b": 0.5}
        sample = None
    else:
        sample = measured.difficulties(None, np.random.default_rng(0))[0]
        sample = np.random.default_rng(0).permutation(sample)[:SAMPLE]
    straight = {"validation mean"}  # the others are above 0, and searched by their logarithm

    def given(theta: np.ndarray) -> dict[str, float]:
        return {n: float(x if n in straight else np.exp(x)) for n, x in zip(names, theta, strict=True)}

    def scaled(values: dict[str, float]) -> np.ndarray:
        return np.array([values[name] if name in straight else np.log(values[name]) for name in names])

    def residuals(theta: np.ndarray) -> np.ndarray:
        return np.concatenate(list(_residuals(given(theta), logs, sample, start).values()))

    bounds = [scaled({name: BOUNDS[name][side] for name in names}) for side in (0, 1)]
    found = least_squares(residuals, scaled(first), bounds=bounds, diff_step=1e-4, x_scale=1.0)
    values = given(found.x)
    errors = np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    told = {
        name: (values[name], float(error * (1 if name in straight else values[name])))
        for name, error in zip(names, errors, strict=True)
    }
    kinds = _residuals(values, logs, sample, start)
    return Fit(
        replace(start, rate=values["rate"], ceiling=values["ceiling"]),
        Validation(values["validation mean"], values["validation deviation"]) if validated else None,
        (values["a"], values["b"]) if measured is None else measured.prior,
        told,
        {kind: float(np.mean(part**2)) for kind, part in kinds.items() if len(part)},
    )


def _require_uniform(logs: Sequence[RunLog]) -> None:
    for log in logs:
        if not log.uniform:
            text = f"--runs {log.path}: it chose its questions, so its log does not tell how a uniform run learns; "
            raise ConfigError(text + "name a run of dots.preset=grpo for the fit", key="--runs", reason="excluded")


def _residuals(
    values: dict[str, float], logs: Sequence[RunLog], sample: np.ndarray | None, start: Learning
) -> dict[str, np.ndarray]:
    """Residuals of effective groups, rewards and accuracies, in standard deviations of their sampling."""
    learning = replace(start, rate=values["rate"], ceiling=values["ceiling"])
    difficulty_P = sample
    if difficulty_P is None:
        places = (np.arange(QUANTILES) + 0.5) / QUANTILES
        difficulty_P = latent(beta.ppf(places, values["a"], values["b"]))
    found: dict[str, list[np.ndarray]] = {"effective groups": [], "reward": [], "accuracy": []}
    for log in logs:
        steps = len(log.effective_S)
        path = expected(difficulty_P, learning, log.rollouts, steps, log.temperature)
        found["effective groups"].append(_scattered(log.effective_S, path.effective_S, log.batch_size))
        # The success rates of a U-shaped pool scatter nearly as outcomes do.
        found["reward"].append(_scattered(log.reward_S, path.reward_S, log.batch_size))
        if log.accuracy:
            validation = Validation(values["validation mean"], values["validation deviation"])
            ability = np.array([0.0, *path.ability_S])
            predicted = np.array([validation.accuracy(ability[step]) for step in log.accuracy])
            found["accuracy"].append(_scattered(np.array(list(log.accuracy.values())), predicted, VALIDATION_QUESTIONS))
    return {kind: np.nan_to_num(np.concatenate(parts)) if parts else np.empty(0) for kind, parts in found.items()}


def _scattered(recorded_S: np.ndarray, expected_S: np.ndarray, count: int) -> np.ndarray:
    """Residuals of shares of `count` outcomes, of what was recorded alone."""
    scatter_S = np.maximum(np.sqrt(expected_S * (1 - expected_S) / count), 1e-3)
    return ((recorded_S - expected_S) / scatter_S)[np.isfinite(recorded_S)]


def fit_entropy(logs: Sequence[RunLog], learning: Learning, measured: Measured, entropy: Entropy) -> Entropy:
    """The entropy's start and fall by a straight line through its logarithm over ability; as given without a record."""
    sample = np.random.default_rng(0).permutation(measured.difficulties(None, np.random.default_rng(0))[0])[:SAMPLE]
    points = []
    for log in logs:
        path = expected(sample, learning, log.rollouts, len(log.entropy_S), log.temperature)
        before_S = np.array([0.0, *path.ability_S[:-1]])
        known_S = log.entropy_S > 0
        scale = log.temperature**entropy.power
        points.append(np.stack([before_S[known_S], np.log(log.entropy_S[known_S] / scale)]))
    ability_N, logarithm_N = np.concatenate(points, axis=1) if points else np.empty((2, 0))
    if len(ability_N) < 3 or np.ptp(ability_N) < 1e-3:
        return entropy
    slope, intercept = np.polyfit(ability_N, logarithm_N, 1)
    return replace(entropy, initial=float(np.exp(intercept)), decay=float(-slope))


def fit_quality(logs: Sequence[RunLog], measured: Measured, quality: Quality) -> Quality:
    """The quality of predictions out of runs with reference rollouts; as given where there are none.

    The logged correlation is with measured difficulties. It is divided by the square root of their reliability.
    """
    logs = [log for log in logs if np.isfinite(log.rho)]
    if not logs:
        return quality
    success_P = 1 / (1 + np.exp(measured.difficulties(None, np.random.default_rng(0))[0]))
    found = []
    for log in logs:
        noise = np.mean(success_P * (1 - success_P)) / log.rollouts
        found.append((min(log.rho / np.sqrt(success_P.var() / (success_P.var() + noise)), 0.98), _remembered(log)))
    rho, references = np.mean(found, axis=0)
    return replace(quality, rho=float(max(rho, 0.0)), rho_references=max(1, round(references)))


def _remembered(log: RunLog) -> float:
    """References behind a prediction late in a run: those of a round, or all that an online predictor remembers."""
    settings = log.settings
    references, mu = settings["dots.selection.references"], settings["dots.selection.mu"]
    if settings.get("dots.difficulty.predictor", "online") != "online":
        return references
    fresh = log.batch_size * (settings["dots.replay.delta"] if settings.get("dots.replay.enable") else 1)
    return (references / mu + fresh) / (1 - 0.5 ** (1 / settings["dots.difficulty.half_life"]))
