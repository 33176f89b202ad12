"""DOTS, table 8, on the ladder: how well the embeddings alone tell difficulties: `python -m scripts.embedding_rho`.

Softmax attention over the untouched embeddings, from 256 references whose difficulty was measured, as in the paper. The
embedding is the mean of the last layer over a question's tokens, of the model before training, which has also labelled
the questions. It is of the combinations of recipes/evidence/cpu.yaml with this model whose questions are all labelled:
`bash scripts/reproduce.sh --scale cpu` makes these files. --write puts it into recipes/evidence/results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from scripts.reproduce.matrix import Combination
from scripts.reproduce.matrix_file import read_matrix
from scripts.sections import asked_to_write, status_of
from verl_dots.data.questions import read_questions
from verl_dots.difficulty.embeddings import embed_texts
from verl_dots.difficulty.labels import Labels, read_labels
from verl_dots.difficulty.prediction_scores import off_the_shelf, score_draws
from verl_dots.evidence.cells import Figure
from verl_dots.evidence.extra_figures import Extra, load_extra, save_extra
from verl_dots.evidence.saved import EXTRA_FILE
from verl_dots.terminal import output

ROOT = Path(__file__).parents[1]
MATRIX, KEPT = ROOT / "recipes/evidence/cpu.yaml", ROOT / "recipes/evidence/results" / EXTRA_FILE
LABELS, LABELLER = "data/ladder_large/labels.parquet", "models/ladder1"
METHODS, MEASURE = ("dots", "dots_rr"), "rho_off_the_shelf"
REFERENCES, DRAWS = 256, 20
Embed = Callable[[Sequence[str]], np.ndarray]


def rho_alone(embedding_P: np.ndarray, difficulty_P: np.ndarray, references: int, draws: int) -> Figure:
    """Mean Pearson correlation over draws of references, and the mean ends of its interval over questions."""
    found = score_draws(off_the_shelf(embedding_P, difficulty_P), difficulty_P, references, draws)
    return Figure.between(*(float(np.mean(found[name])) for name in ("rho", "rho_low", "rho_high")))


def measured(
    combinations: Sequence[Combination], labels: Labels, embed: Embed, root: Path, sizes: tuple[int, int]
) -> Extra:
    """The figure of each combination of the labeller's model whose questions are all labelled.

    Args:
        root: where the combinations' data lie.
        sizes: references and draws.
    """
    place = {text: number for number, text in enumerate(labels.texts)}
    pools = {}
    for one in combinations:
        texts = read_questions([root / one.data / "train.parquet"]).texts if one.model == LABELLER else ()
        if texts and all(text in place for text in texts):
            pools[one.name] = np.array([place[text] for text in dict.fromkeys(texts)])
    embedding_P, difficulty_P = embed(labels.texts).astype(np.float64), 1 - labels.success_rate_P
    figures = {name: rho_alone(embedding_P[own], difficulty_P[own], *sizes) for name, own in pools.items()}
    return {(name, method, MEASURE): figure for name, figure in figures.items() for method in METHODS}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures, and with --write keep them; those of other measures stay."""
    write = asked_to_write(__doc__, arguments)
    combinations = [one for one in read_matrix(MATRIX).combinations.values() if (ROOT / one.data).exists()]
    labels = read_labels([ROOT / LABELS])
    model = str(ROOT / LABELLER)
    found = measured(combinations, labels, lambda texts: embed_texts(texts, model), ROOT, (REFERENCES, DRAWS))
    for (name, method, _), figure in found.items():
        output().print(f"{name}, {method}: {figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]")
    if write:
        others = load_extra(KEPT) if KEPT.exists() else {}
        save_extra({key: figure for key, figure in others.items() if key[2] != MEASURE} | dict(found), KEPT)
    return 0


if __name__ == "__main__":
    raise SystemExit(status_of(main))
