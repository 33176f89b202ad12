import numpy as np
import pytest
import torch

from verl_dots.difficulty.model import PredictorConfig
from verl_dots.difficulty.training import TrainingConfig, train


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


def test_bad_input_is_refused():
    embedding_P, rate_P, held_out_P = data(P=20)
    with pytest.raises(ValueError, match=r"success rates must be in \[0, 1\]"):
        train(embedding_P, rate_P + 1, held_out_P, small())
    with pytest.raises(ValueError, match="4 or more questions"):
        train(embedding_P, rate_P, np.zeros(20, dtype=bool), small())
    with pytest.raises(ValueError, match="want embeddings"):
        train(embedding_P, rate_P[:-1], held_out_P, small())
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
