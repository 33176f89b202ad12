import numpy as np
import pytest
import torch

from verl_dots.difficulty.calibration import regressed
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.predictors import TrainedPredictor

KNOWN, LABELS = np.array([3, 7]), np.array([1.0, 0.0])


def test_the_line_through_the_references_by_hand():
    # Predicted 0.2 and 0.4, measured 0.1 and 0.7: slope 3, through (0.3, 0.4). At 0.5 it is 1, at 0.6 1.3: not clipped.
    found = regressed(torch.tensor([0.3, 0.5, 0.6]), torch.tensor([0.2, 0.4]), torch.tensor([0.1, 0.7]))
    torch.testing.assert_close(found, torch.tensor([0.4, 1.0, 1.3]))
    # Least squares of three: deviations (-.1, 0, .1) and labels (0, .6, .3): slope (.1 * .3) / .02 = 1.5.
    found = regressed(torch.tensor([0.5]), torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.0, 0.6, 0.3]))
    torch.testing.assert_close(found, torch.tensor([0.3 + 1.5 * 0.3]))


def test_references_that_are_predicted_alike_leave_their_mean_label():
    for count in (1, 2):
        found = regressed(torch.tensor([0.1, 0.9]), torch.full((count,), 0.3), torch.tensor([0.2, 0.6])[:count])
        torch.testing.assert_close(found, torch.full((2,), 0.2 if count == 1 else 0.4))


def served(calibration: str) -> tuple[AttentionPredictor, TrainedPredictor]:
    torch.manual_seed(0)
    model = AttentionPredictor(PredictorConfig(6, (5,), direct_head=False, calibration=calibration))
    return model, TrainedPredictor(model, np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32))


def test_the_papers_code_puts_what_it_serves_on_that_line_and_a_run_cuts_it_at_the_ends():
    model, predictor = served("group_code")
    reference, difficulty, own = predictor._known(KNOWN, LABELS)
    without = model.predict(predictor.query_P, reference, difficulty)
    found = model.predict(predictor.query_P, reference, difficulty, own)
    # Two references fix the line: 1 and 0 there, so that it leaves both ends among the others.
    high, low = without[KNOWN].double().numpy()
    line = (without.double().numpy() - low) / (high - low)
    assert found.numpy() == pytest.approx(line, abs=1e-3) and line.min() < -0.1 and line.max() > 1.1
    predicted, held_out = predictor.predict(1, KNOWN, LABELS)
    assert predicted == pytest.approx(np.clip(found.numpy(), 0, 1))
    assert held_out.tolist() == [0.0, 1.0]  # from the other one alone, whose label is all that there is


def test_the_papers_text_has_no_such_line():
    model, predictor = served("group")
    reference, difficulty, own = predictor._known(KNOWN, LABELS)
    both = [model.predict(predictor.query_P, reference, difficulty, *more) for more in ((), (own,))]
    assert torch.equal(*both)
