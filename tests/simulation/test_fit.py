from pathlib import Path

import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.simulation.fit import expected, fit, fit_entropy, fit_quality
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.prediction import Quality
from verl_dots.simulation.response import Entropy, Learning
from verl_dots.simulation.run_logs import RunLog
from verl_dots.simulation.validation import Validation

TRUTH = Learning(rate=2.0, ceiling=2.0)
VALIDATION = Validation(0.3, 2.0)
UNIFORM = {"dots.selection.enable": False}


def pool(questions=3000, tries=32.0):
    rng = np.random.default_rng(0)
    rates = rng.beta(0.5, 0.7, questions)
    return Measured(rng.binomial(int(tries), rates) / tries, np.full(questions, tries), (0.5, 0.7))


def log(measured, batch_size=256, steps=60, seed=0, **changes):
    """A run of known parameters, with the scatter that sampling gives it."""
    rng = np.random.default_rng(seed)
    path = expected(measured.difficulties(None, np.random.default_rng(5))[0], TRUTH, 8, steps, 1.0)
    ability = [0.0, *path.ability_S]
    found = {
        "effective_S": rng.binomial(batch_size, path.effective_S) / batch_size,
        "reward_S": rng.normal(path.reward_S, 0.4 / np.sqrt(batch_size)),
        "entropy_S": 0.4 * np.exp(-0.5 * np.array(ability[:-1])),
        "accuracy": {s: rng.binomial(500, VALIDATION.accuracy(ability[s])) / 500 for s in range(0, steps + 1, 5)},
        "rho": float("nan"),
        "settings": UNIFORM,
        "uniform": True,
    }
    return RunLog(Path("run"), "grpo", batch_size, 8, 1.0, **found | changes)


def test_known_parameters_are_recovered():
    measured = pool()
    found = fit([log(measured, seed=seed) for seed in range(3)], measured, Learning())
    truth = {"rate": 2.0, "ceiling": 2.0, "validation mean": 0.3, "validation deviation": 2.0}
    for name, (value, error) in found.values.items():
        assert abs(value - truth[name]) < 3 * error and error < 0.5 * truth[name] + 0.1, name
    assert all(0.4 < misfit < 1.8 for misfit in found.misfit.values())


def test_steps_that_were_not_recorded_do_not_count():
    """Of two runs with the same scatter the one that lacks steps, late or in between, tells the same of what it has."""
    measured, known = pool(), np.arange(60) >= 30
    whole = log(measured)
    gaps = {name: np.where(known, getattr(whole, name), np.nan) for name in ("effective_S", "reward_S", "entropy_S")}
    found = fit([log(measured, **gaps)], measured, Learning())
    for name, truth in (("rate", 2.0), ("ceiling", 2.0)):
        value, error = found.values[name]
        assert abs(value - truth) < 3 * error, name
    assert all(0.6 < misfit < 1.8 for misfit in found.misfit.values())
    entropy = fit_entropy([log(measured, **gaps)], TRUTH, measured, Entropy())
    assert (entropy.initial, entropy.decay) == (pytest.approx(0.4, rel=0.05), pytest.approx(0.5, rel=0.1))


def test_without_measured_difficulties_the_pools_are_fitted_too():
    found = fit([log(pool(1000), batch_size=2048, steps=30)], None, Learning())
    for name, truth in (("rate", 2.0), ("a", 0.5), ("b", 0.7)):
        value, error = found.values[name]
        assert abs(value - truth) < 3 * error + 0.1, name
    assert found.prior == (found.values["a"][0], found.values["b"][0])


def test_without_validation_there_is_none_to_fit():
    measured = pool()
    found = fit([log(measured, accuracy={})], measured, Learning())
    assert found.validation is None and set(found.values) == {"rate", "ceiling"}
    assert set(found.misfit) == {"effective groups", "reward"}


def test_the_fit_repeats():
    measured = pool(500)
    assert fit([log(measured)], measured, Learning()) == fit([log(measured)], measured, Learning())


def test_runs_whose_questions_were_chosen_tell_nothing_of_uniform_ones():
    with refused("--runs", "excluded", "run", "grpo"):
        fit([log(pool(500), uniform=False)], pool(500), Learning())


def test_the_entropys_start_and_fall_are_recovered():
    measured = pool()
    found = fit_entropy([log(measured)], TRUTH, measured, Entropy())
    assert (found.initial, found.decay) == (pytest.approx(0.4, rel=0.02), pytest.approx(0.5, rel=0.05))
    nothing = log(measured, entropy_S=np.full(60, np.nan))
    assert fit_entropy([nothing], TRUTH, measured, Entropy()) == Entropy()


def test_the_quality_of_predictions_is_of_true_difficulties():
    """p = 0 or 1 leaves nothing to scatter; with p in {0.25, 0.75} a variance of 1/16 beside 3/16 / 8."""
    settings = UNIFORM | {
        "dots.selection.references": 64,
        "dots.selection.mu": 2,
        "dots.difficulty.predictor": "attention",
    }
    sure = Measured(np.array([0.0, 1.0] * 50), np.full(100, 1e9), (1.0, 1.0))
    found = fit_quality([log(pool(500), rho=0.6, settings=settings)], sure, Quality())
    assert (found.rho, found.rho_references) == (pytest.approx(0.6, abs=1e-3), 64)
    unsure = Measured(np.array([0.25, 0.75] * 50), np.full(100, 1e9), (1.0, 1.0))
    found = fit_quality([log(pool(500), rho=0.6, settings=settings)], unsure, Quality())
    assert found.rho == pytest.approx(0.6 * np.sqrt((1 / 16 + 3 / 128) / (1 / 16)), abs=1e-3)
    assert fit_quality([log(pool(500))], sure, Quality()) == Quality()


def test_an_online_predictor_remembers_earlier_groups():
    """32 references a step and 256 fresh groups, half forgotten in each step: twice as many."""
    settings = UNIFORM | {
        "dots.selection.references": 64, "dots.selection.mu": 2, "dots.difficulty.predictor": "online",
        "dots.difficulty.half_life": 1.0,
    }  # fmt: skip
    found = fit_quality([log(pool(500), rho=0.6, settings=settings)], pool(500), Quality())
    assert found.rho_references == 2 * (32 + 256)
