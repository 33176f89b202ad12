import numpy as np
import pytest

from verl_dots.difficulty.components import principal_components


def test_principal_components_keep_distances_and_scale():
    # Two columns of unit variance after standardising, correlated by 0.6: spreads 1.6 and 0.4, together 2.
    rng = np.random.default_rng(0)
    first = rng.normal(size=20000)
    embedding = np.stack([5 + 3 * first, 0.6 * first + 0.8 * rng.normal(size=20000)], axis=1).astype(np.float32)
    features = principal_components(embedding)
    assert features.shape == (20000, 3) and (features[:, -1] == 1).all()
    assert (features[:, :-1] ** 2).sum(1).mean() == pytest.approx(1.0, rel=0.02)
    assert np.sort(features[:, :-1].var(0)) == pytest.approx([0.2, 0.8], rel=0.05)


def test_constant_columns_and_few_questions_are_no_trouble():
    embedding = np.array([[1.0, 7.0], [2.0, 7.0], [4.0, 7.0]], dtype=np.float32)
    features = principal_components(embedding)
    assert features.shape == (3, 2) and np.isfinite(features).all()
    assert principal_components(np.ones((4, 3), np.float32)).tolist() == [[1.0]] * 4


def test_components_of_more_columns_than_are_decomposed_at_once_are_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    embedding = (rng.normal(size=(40, 8)) @ rng.normal(size=(8, 30)) + rng.normal(size=(40, 30))).astype(np.float32)
    whole = principal_components(embedding, width=10, behind=[2])
    monkeypatch.setattr("verl_dots.difficulty.components.WIDE", 29)
    wide = principal_components(embedding[:29], width=10, behind=[2])
    assert wide.shape == (29, 11) and np.isfinite(wide).all()
    monkeypatch.setattr("verl_dots.difficulty.components.WIDE", 30)
    narrow = principal_components(embedding[:29], width=10, behind=[2])
    np.testing.assert_allclose(abs(wide), abs(narrow), atol=1e-5)  # but for their signs, which mean nothing
    monkeypatch.setattr("verl_dots.difficulty.components.WIDE", 29)
    # Of 29 questions in place of 40: what they leave out is nearly what all leave out.
    fewer = principal_components(embedding, width=10, behind=[2])
    assert fewer.shape == whole.shape
    assert (fewer[:, :-1] ** 2).sum(1).mean() == pytest.approx(1.0, rel=0.2)
    assert principal_components(np.ones((40, 30), np.float32)).tolist() == [[1.0]] * 40


def test_every_layer_of_a_small_language_model_is_no_trouble():
    """31 times 576 columns: their matrix of products has 2.5 GB, and its decomposition takes an hour."""
    embedding = np.random.default_rng(0).normal(size=(50, 31 * 576)).astype(np.float32)
    features = principal_components(embedding)
    assert features.shape == (50, 50) and np.isfinite(features).all()  # 49, of 50 questions around their mean, and a 1


def test_surface_columns_weigh_as_much_as_the_embedding_however_few():
    rng = np.random.default_rng(0)
    columns = np.concatenate([rng.normal(size=(5000, 30)), 7 + 2 * rng.normal(size=(5000, 2))], 1).astype(np.float32)
    features = principal_components(columns, behind=[2])
    # The two columns have half of the squared length, 1/4 each; the 30 others 1/60 each.
    assert np.sort(features[:, :-1].var(0))[::-1] == pytest.approx([0.25] * 2 + [1 / 60] * 30, rel=0.15)
    # A mark of 1 in 2,500 questions does not count for more than its deviation over .05.
    columns[:, -1] = np.arange(5000) % 2500 == 0
    assert np.isfinite(principal_components(columns, behind=[2])).all()


def test_each_part_behind_the_embedding_weighs_as_much_as_all_before_it():
    rng = np.random.default_rng(0)
    columns = np.concatenate([rng.normal(size=(5000, 30)), 7 + 2 * rng.normal(size=(5000, 3))], 1).astype(np.float32)
    features = principal_components(columns, behind=[2, 1])
    # The last column has half of the squared length, the two before it 1/8 each, the 30 others 1/120 each.
    length = np.sort(features[:, :-1].var(0))[::-1]
    assert length[:3] == pytest.approx([0.5, 0.125, 0.125], rel=0.05) and length[3:].sum() == pytest.approx(
        0.25, rel=0.05
    )
    columns[:, -1] = 7
    assert np.isfinite(principal_components(columns, behind=[2, 1])).all()
