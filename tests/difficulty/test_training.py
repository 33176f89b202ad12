from typing import ClassVar

import numpy as np
import pytest
import torch

from verl_dots.difficulty.labeller_scores import score_labellers
from verl_dots.difficulty.labels import Labels
from verl_dots.difficulty.method_scores import predictor_of
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.training import TrainingConfig, train

# rho after each epoch, of a seed, as it was when all labels were those of one labeller.
BEFORE = (0.2703393, 0.33920489, 0.39920494, 0.43406414, 0.44764678)


def data(P=240, d=8, seed=0):
    """Questions whose success rate is a smooth function of two of their dimensions."""
    generator = np.random.default_rng(seed)
    embedding_P = generator.normal(size=(P, d)).astype(np.float32)
    rate_P = 1 / (1 + np.exp(-2 * embedding_P[:, 0] + embedding_P[:, 1]))
    return embedding_P, rate_P, np.arange(P) % 4 == 0


def small(direct_head=True) -> PredictorConfig:
    return PredictorConfig(8, adapter_widths=(16,), direct_head=direct_head)


def test_attention_learns_what_can_be_learned():
    done = train(*data(), small(direct_head=False), TrainingConfig(30, 3e-3, batch_size=32, references=24))
    assert done.rho_by_epoch[done.epoch] > 0.9
    assert not done.model.training


def test_the_direct_head_predicts_difficulty_and_not_success():
    embedding_P, rate_P, held_out_P = data()
    model = train(embedding_P, rate_P, held_out_P, small(), TrainingConfig(epochs=0)).model
    embedding, difficulty = torch.tensor(embedding_P), torch.tensor(1 - rate_P, dtype=torch.float32)
    found = model.predict(
        model.project_queries(embedding[200:]), model.project_references(embedding[:50]), difficulty[:50]
    )
    assert np.corrcoef(found.numpy(), difficulty[200:].numpy())[0, 1] > 0.9


def test_a_seed_gives_the_same_weights_bit_for_bit_and_another_one_does_not():
    settings = TrainingConfig(epochs=3, batch_size=32, references=24, early_stopping=False)
    global_state = torch.get_rng_state()
    first, again, other = (train(*data(), small(), settings, seed=seed).model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["gate"], other["gate"])
    assert torch.equal(global_state, torch.get_rng_state())


def test_the_best_epoch_is_kept_or_the_last():
    settings = {"epochs": 12, "batch_size": 32, "references": 24, "learning_rate": 0.05}
    best = train(*data(), small(False), TrainingConfig(**settings))
    last = train(*data(), small(False), TrainingConfig(**settings, early_stopping=False))
    assert best.rho_by_epoch == last.rho_by_epoch and len(best.rho_by_epoch) == 13
    assert best.epoch == int(np.argmax(best.rho_by_epoch)) and last.epoch == 12


def test_one_labeller_is_trained_with_as_if_there_were_no_labellers():
    embedding_P, rate_P, held_out_P = data()
    settings = TrainingConfig(3, 3e-3, batch_size=32, references=24)
    plain, row = (train(embedding_P, rate, held_out_P, small(), settings) for rate in (rate_P, rate_P[None]))
    assert plain.rho_by_epoch == row.rho_by_epoch
    other = row.model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in plain.model.state_dict().items())
    # What it was before labels had labellers.
    config = PredictorConfig(8, adapter_widths=(16,), direct_head=False, calibration="group")
    found = train(embedding_P, rate_P, held_out_P, config, TrainingConfig(4, 3e-3, 32, 20), seed=3)
    np.testing.assert_allclose(found.rho_by_epoch, BEFORE, rtol=1e-5)


class Recorded(AttentionPredictor):
    """Keeps the difficulties of the references of every batch in training."""

    seen: ClassVar[list[torch.Tensor]] = []

    def forward(self, query_P, reference_K, difficulty_K):
        if self.training:
            self.seen.append(difficulty_K)
        return super().forward(query_P, reference_K, difficulty_K)


def test_a_batch_and_its_references_are_of_one_labeller_and_an_epoch_takes_every_label(monkeypatch):
    embedding_P, _, held_out_P = data()
    level = np.array([[0.1], [0.4], [0.9]])  # every label says whose it is
    rate_LP = np.repeat(level, 240, axis=1)
    rate_LP[2, 120:] = np.nan  # asked half of them
    asked_LP = ~np.isnan(rate_LP)
    losses, plain = [], torch.nn.functional.binary_cross_entropy

    def recorded(predicted_B, difficulty_B):
        losses.append(difficulty_B)
        return plain(predicted_B, difficulty_B)

    monkeypatch.setattr("verl_dots.difficulty.direct_head.AttentionPredictor", Recorded)
    monkeypatch.setattr(torch.nn.functional, "binary_cross_entropy", recorded)
    Recorded.seen.clear()
    train(embedding_P, rate_LP, held_out_P, small(False), TrainingConfig(2, batch_size=10, references=20))
    for references_K, batch_B in zip(Recorded.seen, losses, strict=True):
        assert len(set(references_K.tolist()) | set(batch_B.tolist())) == 1
    # 180, 180 and 90 training questions make 18, 18 and 9 batches of 10. The order is mixed.
    order = [round(1 - batch_B[0].item(), 1) for batch_B in losses]
    assert [order.count(one) for one in (0.1, 0.4, 0.9)] == [36, 36, 18] and asked_LP.sum() == 600
    assert order[:45] != sorted(order[:45])


def test_labellers_kept_apart_predict_a_policy_of_another_level_better_calibrated():
    # A weak and a strong labeller of the same questions in training, then one that is stronger still.
    generator = np.random.default_rng(0)
    embedding_P = generator.normal(size=(500, 8)).astype(np.float32)
    easy_P = 1.5 * embedding_P[:, 0] - embedding_P[:, 1]
    levels = ((0.8, -1.5), (1.2, 1.5), (1.1, 3.0))
    rate_LP = [generator.binomial(16, 1 / (1 + np.exp(-(scale * easy_P + shift)))) / 16 for scale, shift in levels]
    rate_LP, held_out_P = np.stack(rate_LP), np.arange(300) % 4 == 0
    names = tuple(map(str, range(200)))
    new = Labels(names, names, names, rate_LP[2:, 300:], ("new",))
    settings = TrainingConfig(12, 1e-2, batch_size=32, references=48)
    scores = {}
    for how, rate in (("averaged", rate_LP[:2].mean(0)), ("apart", rate_LP[:2])):
        model = train(embedding_P[:300], rate[..., :300], held_out_P, small(), settings).model
        found = score_labellers(lambda *one, model=model: [predictor_of(model, *one)], embedding_P[300:], new, 48, 3)
        scores[how] = {score: np.mean(values) for score, values in found["new"].items()}
    assert scores["apart"]["calibration_error"] < 0.8 * scores["averaged"]["calibration_error"]
    assert scores["apart"]["rho"] > scores["averaged"]["rho"] - 0.03 > 0.7
    assert abs(scores["apart"]["bias"]) < 0.02


def test_bad_input_is_refused():
    embedding_P, rate_P, held_out_P = data(P=20)
    with pytest.raises(ValueError, match=r"success rates must be in \[0, 1\]"):
        train(embedding_P, rate_P + 1, held_out_P, small())
    with pytest.raises(ValueError, match="4 or more questions"):
        train(embedding_P, rate_P, np.zeros(20, dtype=bool), small())
    with pytest.raises(ValueError, match="want embeddings"):
        train(embedding_P, rate_P[:-1], held_out_P, small())
    few = np.stack([rate_P, np.where(np.arange(20) < 6, rate_P, np.nan)])
    with pytest.raises(ValueError, match="got 4 to train and 2 held out with labels of labeller 2 of 2"):
        train(embedding_P, few, held_out_P, small())
    embedding_P[0, 0] = np.inf
    with pytest.raises(ValueError, match="embeddings finite"):
        train(embedding_P, rate_P, held_out_P, small())


def test_effectiveness_is_learned_apart_from_difficulty():
    """Of two kinds, both of mean difficulty 1/2, the one is always near it and the other at 0 or 1."""
    generator = np.random.default_rng(0)
    embedding_P = generator.normal(size=(400, 4)).astype(np.float32)
    decided_P = embedding_P[:, 0] > 0
    rate_P = np.where(decided_P, generator.integers(0, 2, 400), generator.uniform(0.4, 0.6, 400))
    model = train(embedding_P, rate_P, np.arange(400) % 4 == 0, PredictorConfig(4), TrainingConfig(epochs=1)).model
    with torch.inference_mode():
        embedding = torch.tensor(embedding_P)
        query, reference = model.project_queries(embedding), model.project_references(embedding)
        difficulty = model.predict(query, reference[:100], torch.tensor(1 - rate_P[:100], dtype=torch.float32))
        found = model.expected_effectiveness(query, difficulty, 8).numpy()
    assert found[~decided_P].mean() > 0.8 > 0.4 > found[decided_P].mean()
