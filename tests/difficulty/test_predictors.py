import numpy as np
import pytest
import torch

from tests.refusals import refused
from verl_dots.difficulty.backbone import Backbone
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.difficulty.predictors import TrainedPredictor, backbone_of, make_predictor
from verl_dots.difficulty.settings import DifficultyConfig
from verl_dots.state import load_state, save_state


@pytest.fixture
def served():
    torch.manual_seed(0)
    model = AttentionPredictor(PredictorConfig(6, (5,), direct_head=False, calibration="group", backbone_id="b-1"))
    embedding = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    return model, embedding, TrainedPredictor(model, embedding)


def test_what_is_served_is_what_was_trained(served):
    model, embedding, predictor = served
    references, difficulty = np.array([3, 7, 30]), np.array([0.25, 1.0, 0.5])
    predicted, _ = predictor.predict(1, references, difficulty)
    with torch.inference_mode():
        expected = model(
            model.project_queries(torch.tensor(embedding)),
            model.project_references(torch.tensor(embedding[references])),
            torch.tensor(difficulty, dtype=torch.float32),
        )
    assert predicted == pytest.approx(expected.numpy(), abs=1e-6)


def test_a_reference_is_held_out_of_its_own_prediction(served):
    _, _, predictor = served
    references = np.array([3, 7, 30])
    low, high = (predictor.predict(1, references, np.array([first, 0.5, 0.75])) for first in (0.0, 1.0))
    # Calibration sees mean and spread of all others only.
    assert low[1][0] == pytest.approx(high[1][0], abs=1e-6)
    assert abs(low[1][1] - high[1][1]) > 1e-3


def test_observations_change_nothing_and_the_state_names_the_backbone(served, tmp_path):
    model, embedding, predictor = served
    before = predictor.predict(1, np.array([0, 1]), np.array([0.1, 0.9]))[0]
    predictor.observe(1, np.array([5]), np.array([1.0]), np.array([8]))
    assert np.array_equal(before, predictor.predict(2, np.array([0, 1]), np.array([0.1, 0.9]))[0])
    save_state(tmp_path / "state", "predictor", predictor.state_dict())
    predictor.load_state_dict(load_state(tmp_path / "state", "predictor"))
    other = AttentionPredictor(PredictorConfig(6, (5,), direct_head=False, backbone_id="b-2"))
    with refused("backbone of the predictor", "other run", "'b-1'", "'b-2'"):
        TrainedPredictor(other, embedding).load_state_dict(predictor.state_dict())


def test_a_state_of_the_other_kind_is_refused(served):
    _, embedding, predictor = served
    with refused("online predictor", "other run"):
        OnlinePredictor(embedding, 8.0).load_state_dict(predictor.state_dict())


def test_the_settings_choose(served):
    _, embedding, _ = served
    assert isinstance(make_predictor(DifficultyConfig(), embedding), OnlinePredictor)
    with refused("dots.difficulty.backbone", "missing"):
        backbone_of(DifficultyConfig())


def test_a_trained_predictor_knows_how_its_embeddings_are_made(tmp_path):
    config = PredictorConfig(6, (5,), direct_head=False, embedding_layers="all", embedding_reads="answer_and_question")
    AttentionPredictor(config).save(tmp_path)
    trained = DifficultyConfig(predictor="attention", checkpoint=str(tmp_path), backbone="somewhere")
    assert backbone_of(trained) == Backbone("somewhere", "all", reads="answer_and_question")
    online = DifficultyConfig(checkpoint=str(tmp_path), backbone="somewhere", layers="all")
    assert backbone_of(online) == Backbone("somewhere", "all")


def test_embeddings_that_are_not_finite_or_of_another_width_are_refused(served):
    model, embedding, _ = served
    with pytest.raises(ValueError, match=r"must be \[questions, 6\], got \[40, 3\]"):
        TrainedPredictor(model, embedding[:, :3])
    embedding[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"rows \[4\] are not"):
        TrainedPredictor(model, embedding)
