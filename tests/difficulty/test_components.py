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
