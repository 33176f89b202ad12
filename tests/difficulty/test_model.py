import json
from dataclasses import asdict

import pytest
import torch

from tests.data_files import BITS, tensor_of
from tests.refusals import refused
from verl_dots.difficulty.inputs import VERSION, widths
from verl_dots.difficulty.kernel_regression import shift_to_mean, solve, unit_rows
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig, attention


def small(**changes) -> AttentionPredictor:
    torch.manual_seed(0)
    model = AttentionPredictor(PredictorConfig(6, **({"adapter_widths": (4,), "memory_size": 3} | changes))).eval()
    if model.config.direct_head:
        model.centre.copy_(torch.nn.functional.normalize(torch.randn(3, 6), dim=1))
        model.coefficient.copy_(torch.tensor([0.3, -0.2, 0.1]))
        model.gate.data.fill_(0.7)
    return model


def paper(**changes) -> AttentionPredictor:
    return small(**({"direct_head": False, "calibration": "group", "memory_size": 0} | changes))


def inputs(P=7, K=5):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(P, 6, generator=generator),
        torch.randn(K, 6, generator=generator),
        torch.rand(K, generator=generator),
    )


def predict(model, embedding_P, embedding_K, difficulty_K, **more):
    return model.predict(
        model.project_queries(embedding_P), model.project_references(embedding_K), difficulty_K, **more
    )


def test_attention_by_hand():
    # h = 4, so scores are dot products / 2: (2 ln 3) / 2 = ln 3 and 0 -> weights 3/4 and 1/4; 0.75 * 0.8 + 0.25 * 0.4
    query = torch.tensor([[2.0, 0.0, 0.0, 0.0]])
    reference = torch.tensor([[1.0986123, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]])
    torch.testing.assert_close(attention(query, reference, torch.tensor([0.8, 0.4])), torch.tensor([0.7]))


def test_group_calibration_by_hand():
    model = paper()
    with torch.no_grad():
        for value in model.calibrator.parameters():
            value.zero_()
        # softplus(ln(e^2 - 1)) = 2 and tanh(0) = 0: sigmoid(2 * logit 0.75) = 9 / (9 + 1)
        model.calibrator[2].bias.copy_(torch.tensor([1.8545866, 0.0]))
        found = model._calibrate(torch.tensor([0.75, 0.5]), torch.tensor([0.2, 0.4]))
    torch.testing.assert_close(found, torch.tensor([0.9, 0.5]))


def test_group_calibration_of_the_papers_code_by_hand():
    """It divides by the softplus, within [0.01, 10], and takes the deviation of a sample."""
    model = paper(calibration="group_code")
    with torch.no_grad():
        for value in model.calibrator.parameters():
            value.zero_()
        model.calibrator[2].bias.copy_(torch.tensor([1.8545866, 0.0]))  # softplus 2
        difficulty, labels = torch.tensor([0.9, 0.5]), torch.tensor([0.2, 0.4])
        torch.testing.assert_close(model._calibrate(difficulty, labels), torch.tensor([0.75, 0.5]))
        model.calibrator[2].bias.copy_(torch.tensor([20.0, 0.0]))  # at most 10: sigmoid(logit(0.9) / 10)
        torch.testing.assert_close(model._calibrate(difficulty, labels), torch.tensor([0.5547, 0.5]), atol=1e-4, rtol=0)
        # The offset is the tanh of the deviation, 0.2 / sqrt(2) = 0.1414 (of all labels 0.1).
        model.calibrator[0].weight[0, 1] = model.calibrator[2].weight[1, 0] = 1.0
        offset = torch.tanh(torch.tensor(0.2 / 2**0.5))
        torch.testing.assert_close(model._calibrate(difficulty, labels)[1], torch.sigmoid(offset))
        assert model._calibrate(difficulty, labels[:1]).isfinite().all()


def test_shift_to_mean_by_hand():
    # one reference with prior 1/2: the shift is the logit of 0.75 = ln 3
    torch.testing.assert_close(shift_to_mean(torch.zeros(1), torch.tensor(0.75)), torch.tensor(1.0986123))


def test_kernel_regression_by_hand():
    # two orthogonal centres at sharpness ln 2: off-diagonal 1/2. K + I/2 = [[1.5, .5], [.5, 1.5]], inverse
    # [[.75, -.25], [-.25, .75]]; labels 1 and 0 centred are +-1/2: c = +-1/2; left out: y_i - c_i / .75 = 1/3, 2/3
    coefficient, left_out = solve(torch.eye(2), torch.tensor([1.0, 0.0]), 0.6931472, 0.5, leave_one_out=True)
    torch.testing.assert_close(coefficient, torch.tensor([0.5, -0.5]))
    torch.testing.assert_close(left_out, torch.tensor([1 / 3, 2 / 3]))
    with pytest.raises(ValueError, match="ridge must be > 0"):
        solve(torch.eye(2), torch.zeros(2), 1.0, 0.0)


def test_a_dimension_that_never_varies_does_no_harm():
    mean, std = torch.zeros(2), torch.tensor([1e-3, 1.0])
    assert torch.isfinite(unit_rows(torch.zeros(3, 2), mean, std)).all()


@pytest.mark.parametrize(
    "model", [small(), paper(), paper(adapter_widths=(8, 4)), paper(adapter_widths=(8, 4), activate_last=False)]
)
def test_serving_equals_training_forward_in_any_chunks(model):
    embedding_P, embedding_K, difficulty_K = inputs()
    forward = model(model.project_queries(embedding_P), model.project_references(embedding_K), difficulty_K)
    for chunk in (1, 3, 100):
        served = predict(model, embedding_P, embedding_K, difficulty_K, chunk=chunk)
        torch.testing.assert_close(served, forward, rtol=1e-5, atol=1e-6)
    assert forward.shape == (7,) and ((forward >= 0) & (forward <= 1)).all() and forward.std() > 1e-4


def test_direct_head_follows_the_level_of_the_references():
    model = small()
    embedding_P, embedding_K, _ = inputs(P=400, K=400)
    for level in (0.1, 0.5, 0.9):
        found = predict(model, embedding_P, embedding_K, torch.full((400,), level))
        assert abs(found.mean() - level) < 0.03


@pytest.mark.parametrize("value", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("model", [small(), paper()])
def test_equal_references_work(model, value):
    embedding_P, embedding_K, _ = inputs()
    assert torch.isfinite(predict(model, embedding_P, embedding_K, torch.full((5,), value))).all()


def test_left_out_prediction_ignores_the_own_difficulty():
    model = small()
    _, embedding_K, difficulty_K = inputs()
    query, reference = model.project_queries(embedding_K), model.project_references(embedding_K)
    before = model.predict_left_out(query, reference, difficulty_K)
    changed = difficulty_K.clone()
    changed[2] = 1 - changed[2]
    after = model.predict_left_out(query, reference, changed)
    assert before[2] == after[2] and (before[[0, 1, 3, 4]] != after[[0, 1, 3, 4]]).all()


def test_a_single_reference_serves_and_says_nothing_of_itself():
    model = small()
    embedding_P, embedding_K, difficulty_K = inputs(K=1)
    query, reference = model.project_queries(embedding_K), model.project_references(embedding_K)
    assert model.predict_left_out(query, reference, difficulty_K).tolist() == [0.5]
    assert torch.isfinite(predict(model, embedding_P, embedding_K, difficulty_K)).all()


@pytest.mark.parametrize("model", [small(), paper(), paper(activate_last=False), paper(shared_adapter=True)])
def test_saved_and_loaded_predicts_the_same(model, tmp_path):
    model.save(tmp_path)
    again = AttentionPredictor.load(tmp_path, backbone_id="")
    assert again.config == model.config and not again.training
    assert torch.equal(predict(again, *inputs()), predict(model, *inputs()))


def test_the_published_projection_ends_without_gelu_and_dropout():
    config = PredictorConfig.paper(6, adapter_widths=(8, 4))
    layers = [type(layer).__name__ for layer in AttentionPredictor(config).query_adapter]
    assert layers == ["LayerNorm", "Linear", "GELU", "Dropout", "Linear", "LayerNorm"]
    assert PredictorConfig.paper(6).adapter_widths == (896, 896, 896)
    model = AttentionPredictor(PredictorConfig.paper(2, adapter_widths=(2,))).eval()
    with torch.no_grad():
        model.query_adapter[1].weight.copy_(torch.eye(2))
        model.query_adapter[1].bias.copy_(torch.tensor([-5.0, -5.0]))
    # LayerNorm leaves (1, -1), the linear layer gives (-4, -6), LayerNorm (1, -1); GELU would make almost 0 of both.
    found = model.project_queries(torch.tensor([[1.0, -1.0]]))[0, :2]
    torch.testing.assert_close(found, torch.tensor([1.0, -1.0]), rtol=1e-4, atol=1e-4)


def test_one_adapter_projects_references_as_queries():
    shared, apart = paper(shared_adapter=True), paper()
    embedding_P, _, _ = inputs()
    assert torch.equal(shared.project_queries(embedding_P), shared.project_references(embedding_P))
    assert not torch.equal(apart.project_queries(embedding_P), apart.project_references(embedding_P))
    sizes = [sum(value.numel() for value in one.query_adapter.parameters()) for one in (shared, apart)]
    totals = [sum(value.numel() for value in one.parameters()) for one in (shared, apart)]
    assert sizes[0] == sizes[1] == totals[1] - totals[0]


def test_a_predictor_from_before_the_shared_adapter_loads(tmp_path):
    model = paper()
    model.save(tmp_path)
    file = tmp_path / "config.json"
    stored = json.loads(file.read_text())
    del stored["shared_adapter"]
    file.write_text(json.dumps(stored))
    assert torch.equal(predict(AttentionPredictor.load(tmp_path), *inputs()), predict(model, *inputs()))


def test_loading_is_strict(tmp_path):
    model = small(backbone_id="right-1")
    model.save(tmp_path)
    assert AttentionPredictor.load(tmp_path, "renamed-1").config == model.config
    with pytest.raises(ValueError, match="'right-1', not 'other-2'"):
        AttentionPredictor.load(tmp_path, backbone_id="other-2")
    file = tmp_path / "config.json"
    good = {"format": 1, **asdict(model.config)}
    file.write_text(json.dumps({name: value for name, value in good.items() if name != "surface"}))  # an older one
    with pytest.raises(ValueError, match=r"\['surface'\]; train the predictor again"):
        AttentionPredictor.load(tmp_path)
    for change, message in (({"format": 7}, "format 1"), ({"memory_size": 4}, "centre"), ({"extra": 1}, "extra")):
        file.write_text(json.dumps(good | change))
        with pytest.raises(ValueError, match=message):
            AttentionPredictor.load(tmp_path)


def test_bad_input_is_refused():
    model = small()
    embedding_P, embedding_K, difficulty_K = inputs()
    query, reference = model.project_queries(embedding_P), model.project_references(embedding_K)
    with pytest.raises(ValueError, match=r"\[questions, 6\]"):
        model.project_queries(torch.zeros(2, 5))
    embedding_P[3, 1] = float("nan")
    with pytest.raises(ValueError, match=r"rows \[3\]"):
        model.project_queries(embedding_P)
    with pytest.raises(ValueError, match="1 or more references"):
        model.predict(query, reference[:0], difficulty_K[:0])
    for wrong in (-0.01, 1.01, float("nan")):
        with pytest.raises(ValueError, match=r"in \[0, 1\]"):
            model.predict(query, reference, torch.full((5,), wrong))
    with pytest.raises(ValueError, match="'x'"):
        PredictorConfig(4, calibration="x")


def test_damaged_weights_and_weights_that_are_not_finite(tmp_path):
    model = paper()
    model.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ValueError, match="model.safetensors is damaged"):
        AttentionPredictor.load(tmp_path)
    with torch.no_grad():
        next(model.parameters())[0] = torch.nan
    model.save(tmp_path)
    with pytest.raises(ValueError, match="holds values that are not finite"):
        AttentionPredictor.load(tmp_path)
    for dtype in BITS:
        weights.write_bytes(tensor_of("weight", dtype, 16))
        with pytest.raises(ValueError, match=r"no float32: \['weight'\]|is damaged"):
            AttentionPredictor.load(tmp_path)


def test_effectiveness_of_a_shifted_prior_by_hand():
    # Prior: difficulty 1/2 and spread 2, which is uniform; 3 tries are alike in 1/4 + 1/4. With references
    # of .75 Beta(.5, 1.5): E p^3 = .5/2 * 1.5/3 * 2.5/4, E (1 - p)^3 = 1.5/2 * 2.5/3 * 3.5/4
    model = small()
    projection = torch.zeros(1, model.projected_width)
    projection[:, -1] = torch.tensor(2.0).log()
    for level, expected in ((0.5, 0.5), (0.75, 1 - 0.078125 - 0.546875)):
        difficulty = model.predict(projection, projection, torch.tensor([level]))
        assert difficulty.item() == pytest.approx(level, abs=1e-4)
        found = model.expected_effectiveness(projection, difficulty, 3)
        assert found.item() == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="no effectiveness output"):
        paper().expected_effectiveness(projection, difficulty, 3)


def test_the_parts_of_a_row_weigh_alike_however_wide():
    # Cosines 1 of the first part and -1 of the second: the mean is 0.
    rows = torch.tensor([[3.0, 1.0, 2.0, 2.0], [1.0, -1.0, -2.0, -2.0]])
    unit = unit_rows(rows, torch.zeros(4), torch.ones(4), (1, 3))
    torch.testing.assert_close(unit @ unit.T, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))


def test_several_targets_are_solved_as_each_alone():
    unit = torch.nn.functional.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    target = torch.rand(9, 2, generator=torch.Generator().manual_seed(1))
    both = solve(unit, target, 2.0, 0.5, leave_one_out=True)
    for column in (0, 1):
        alone = solve(unit, target[:, column], 2.0, 0.5, leave_one_out=True)
        for left, right in zip(both, alone, strict=True):
            torch.testing.assert_close(left[:, column], right)


def test_a_predictor_of_other_surface_columns_is_refused(tmp_path):
    with_surface = AttentionPredictor(PredictorConfig(6, surface=VERSION))
    assert with_surface.config.input_width == sum(widths(6, VERSION))
    with_surface.save(tmp_path)
    assert AttentionPredictor.load(tmp_path).config.surface == VERSION
    with pytest.raises(ValueError, match="embeddings must be"):
        with_surface.project_queries(torch.zeros(2, 6))
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace(VERSION, "surface-0"))
    with pytest.raises(ValueError, match="version 'surface-0'"):
        AttentionPredictor.load(tmp_path)
    with pytest.raises(ValueError, match="direct head"):
        PredictorConfig.paper(6, surface=VERSION)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("embedding_width", "6"), ("embedding_width", 2**62), ("embedding_width", None), ("adapter_widths", 4),
        ("adapter_widths", ["4"]), ("adapter_widths", []), ("activate_last", 1), ("dropout", "0.1"), ("dropout", 1),
        ("memory_size", -1), ("memory_size", 10**30), ("sharpness", []), ("calibration", 3), ("embedding_layers", 2),
        ("surface", None), ("format", [1]),
    ],
)  # fmt: skip
def test_a_config_of_other_types_is_refused_by_its_file(tmp_path, name, value):
    model = small()
    model.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"format": 1, **asdict(model.config), name: value}))
    with pytest.raises(ValueError, match=str(tmp_path)) as caught:
        AttentionPredictor.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "{}", "\x00"])
def test_a_config_that_is_no_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with refused(str(tmp_path / "config.json")):
        AttentionPredictor.load(tmp_path)
