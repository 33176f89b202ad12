"""What embeddings alone tell of difficulties: of which combinations, and by hand."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scripts.embedding_rho import LABELLER, MEASURE, measured, rho_alone
from tests import data_files
from verl_dots.difficulty.labels import Labels

# Two kinds of questions, far apart: attention then gives each the mean difficulty of its own kind.
KIND_P = np.arange(12) % 2
FAR_P = 50.0 * np.eye(2)[KIND_P]
DIFFICULTY_P = np.where(KIND_P == 0, 0.25, 0.75)


def test_attention_over_the_embeddings_tells_kinds_apart_where_the_embeddings_do():
    assert rho_alone(FAR_P, DIFFICULTY_P, 8, 3).value == pytest.approx(1.0)
    assert rho_alone(FAR_P[::-1], 1 - DIFFICULTY_P, 8, 3).value == pytest.approx(1.0)
    assert rho_alone(np.ones((12, 2)), DIFFICULTY_P, 8, 3).value == 0.0, "one prediction for all"


def pool(folder: Path, name: str, texts: list[str]) -> None:
    rows = [data_files.row(text, "1") for text in texts]
    (folder / name).mkdir()
    pd.DataFrame(rows).to_parquet(folder / name / "train.parquet")


def test_it_is_of_combinations_of_the_labeller_whose_questions_are_all_labelled(tmp_path):
    texts = tuple(f"question {number}" for number in range(12))
    labels = Labels(texts, texts, ("1",) * 12, 1 - DIFFICULTY_P)
    pool(tmp_path, "all", [*texts]), pool(tmp_path, "more", [*texts, "unknown"])
    combinations = [
        SimpleNamespace(name=name, data=data, model=model)
        for name, data, model in (("a", "all", LABELLER), ("b", "more", LABELLER), ("c", "all", "another"))
    ]
    found = measured(combinations, labels, lambda _: FAR_P, tmp_path, (8, 2))
    assert set(found) == {("a", "dots", MEASURE), ("a", "dots_rr", MEASURE)}
    assert [figure.value for figure in found.values()] == [pytest.approx(1.0)] * 2
