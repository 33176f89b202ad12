import numpy as np
import pytest

from scripts.bench_predictor_online import FIGURES, Draw, ends, simulated, table
from verl_dots.difficulty.logistic import expit


def test_a_uniform_draw_and_a_perfect_predictor_by_hand():
    # Of 8 tries: at 0 and 1 nothing, at 1/2 254/256, at 1/4 1 - .75^8 - .25^8 = .8998718.
    random, perfect = ends(np.array([0.0, 0.5, 1.0, 0.25]), 2)
    assert (random, perfect) == pytest.approx(((0.9921875 + 0.8998718) / 4, (0.9921875 + 0.8998718) / 2))


@pytest.mark.parametrize("score", ["difficulty", "effectiveness"])
def test_a_difficulty_that_the_embedding_tells_is_predicted_and_gained_by(score):
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(800, 6)).astype(np.float32)
    rate = expit(3 * embedding[:, 0])
    random, perfect = ends(rate, 32)
    first, *_, last = found = simulated(embedding, [], rate, Draw(score, 1e-3, 64, 32), rounds=3, seed=1)
    assert len(found) == 3 and set(first) == set(FIGURES)
    assert last["rho"] > 0.9 and abs(last["bias"]) < 0.05
    assert random + 0.2 < last["effective"] <= perfect
    assert found == simulated(embedding, [], rate, Draw(score, 1e-3, 64, 32), rounds=3, seed=1)
    assert table({(score, 1): [first, last]}, "").row_count == 1
