import numpy as np
import pytest
import torch

from tests.refusals import refused
from verl_dots.difficulty import inputs, surface
from verl_dots.difficulty.backbone import Backbone
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.predictors import TrainedPredictor, backbone_of, inputs_of, make_predictor, surface_of
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
    predicted, held_out = predictor.predict(1, references, difficulty)
    with torch.inference_mode():
        query = model.project_queries(torch.tensor(embedding))
        reference = model.project_references(torch.tensor(embedding[references]))
        known = torch.tensor(difficulty, dtype=torch.float32)
        expected, left_out = model(query, reference, known), model.predict_left_out(query[references], reference, known)
    assert predicted == pytest.approx(expected.numpy(), abs=1e-6)
    assert held_out == pytest.approx(left_out.numpy(), abs=1e-6)


def test_observations_change_nothing_and_the_state_names_kind_and_backbone(served, tmp_path):
    model, embedding, predictor = served
    before = predictor.predict(1, np.array([0, 1]), np.array([0.1, 0.9]))[0]
    predictor.observe(1, np.array([5]), np.array([1.0]), np.array([8]), np.array([False]))
    assert np.array_equal(before, predictor.predict(2, np.array([0, 1]), np.array([0.1, 0.9]))[0])
    save_state(tmp_path / "state", "predictor", predictor.state_dict())
    predictor.load_state_dict(load_state(tmp_path / "state", "predictor"))
    other = AttentionPredictor(PredictorConfig(6, (5,), direct_head=False, backbone_id="b-2"))
    with refused("backbone of the predictor", "other run", "'b-1'", "'b-2'"):
        TrainedPredictor(other, embedding).load_state_dict(predictor.state_dict())
    with refused("online predictor", "other run"):
        make_predictor(DifficultyConfig(), embedding).load_state_dict(predictor.state_dict())


def test_a_trained_predictor_knows_how_its_embeddings_are_made_but_not_the_backbones_place(tmp_path):
    config = PredictorConfig(6, (5,), direct_head=False, embedding_layers="all", embedding_reads="answer_and_question")
    AttentionPredictor(config).save(tmp_path)
    trained = DifficultyConfig(predictor="attention", checkpoint=str(tmp_path), backbone="somewhere")
    assert backbone_of(trained) == Backbone("somewhere", "all", reads="answer_and_question")
    online = DifficultyConfig(checkpoint=str(tmp_path), backbone="somewhere", layers="all")
    assert backbone_of(online) == Backbone("somewhere", "all")
    with refused("dots.difficulty.backbone", "missing"):
        backbone_of(DifficultyConfig())


def test_effectiveness_is_that_of_the_predicted_difficulty_and_of_the_tries_asked_for():
    torch.manual_seed(0)
    model = AttentionPredictor(PredictorConfig(6, (5,), memory_size=3))
    model.centre.copy_(torch.nn.functional.normalize(torch.randn(3, 6), dim=1))
    model.coefficient.copy_(torch.tensor([0.3, -0.2, 0.1]))
    embedding = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    predictor = TrainedPredictor(model, embedding)
    known = np.array([3, 7, 30]), np.array([0.25, 1.0, 0.5])
    predicted, _ = predictor.predict(1, *known)
    expected = model.expected_effectiveness(predictor.query_P, torch.tensor(predicted), 4)
    found = predictor.effectiveness(1, *known, 4)
    assert np.array_equal(found, expected.numpy()) and found.std() > 1e-3
    assert (predictor.effectiveness(1, *known, 16) > found).all()


def test_what_the_predictor_of_the_settings_sees(tmp_path):
    embedding, texts, answers = np.ones((3, 6), np.float32), ("How many?", "Find $x$.", "Why?"), ("1", "2", "")
    seen = inputs_of(DifficultyConfig(), embedding, texts, answers)
    assert seen.shape == (3, 6 + len(surface.COLUMNS)) and make_predictor(DifficultyConfig(), seen)
    assert inputs_of(DifficultyConfig(surface=False), embedding, texts, answers) is embedding
    known = np.array([1.0, 1.0, 7.0])
    for settings, width in ((DifficultyConfig(field="level"), 6 + len(surface.COLUMNS)),
                            (DifficultyConfig(field="level", surface=False), 6)):  # fmt: skip
        beside = inputs_of(settings, embedding, texts, answers, known)
        assert beside.shape == (3, width + 2) and make_predictor(settings, beside)
        # Standardised (the mean is 3, the deviation 2.83), and ranks of which the equal ones share theirs.
        assert beside[:, width:] == pytest.approx(
            np.array([[-0.7071, 1 / 3], [-0.7071, 1 / 3], [1.4142, 5 / 6]]), abs=1e-4
        )
    for version in ("", inputs.VERSION):
        AttentionPredictor(PredictorConfig(6, (5,), surface=version)).save(tmp_path)
        trained = DifficultyConfig(predictor="attention", checkpoint=str(tmp_path), backbone="b", surface=False)
        assert surface_of(trained) == version
        assert inputs_of(trained, embedding, texts, answers).shape == (3, sum(inputs.widths(6, version)))
