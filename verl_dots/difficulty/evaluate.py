"""Score predictors on labelled questions that they have not seen, beside the baselines.

    python -m verl_dots.difficulty.evaluate PREDICTOR LABELS... --backbone FOLDER [--references 256 --draws 5]

PREDICTOR is what `train` wrote; its other seeds (PREDICTOR/seed-*) are scored with it. Questions of a family (the same
text but for case, spaces and punctuation) that training saw are left out.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("evaluate", "nothing was written: the same command starts from the beginning")

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from verl_dots.difficulty.embeddings import DEFAULT_CACHE, Backbone, cached_embeddings
from verl_dots.difficulty.labeller_scores import check_labellers, labeller_table, score_labellers
from verl_dots.difficulty.labels import Labels, first_of_families, read_labels
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.options import require_interval, require_whole
from verl_dots.difficulty.prediction_scores import off_the_shelf, score_draws
from verl_dots.files import try_folder, try_output
from verl_dots.settings import ConfigError

FAMILIES_FILE = "training_families.json"
OFF_THE_SHELF = "off-the-shelf attention"
Scores = dict[str, list[float]]


def predictor_of(model: AttentionPredictor, embedding_P: np.ndarray, difficulty_P: np.ndarray) -> Callable:
    """predict(reference positions, query positions) -> difficulty, for `prediction_scores.score_draws`."""
    with torch.inference_mode():
        device = next(model.parameters()).device
        embedding = torch.as_tensor(np.array(embedding_P, dtype=np.float32), device=device)
        difficulty = torch.as_tensor(np.array(difficulty_P, dtype=np.float32), device=device)
        chunks = embedding.split(2048)
        query = torch.cat([model.project_queries(chunk) for chunk in chunks])
        reference = torch.cat([model.project_references(chunk) for chunk in chunks])

    def predict(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
        return model.predict(query[asked], reference[known], difficulty[known]).cpu().double().numpy()

    return predict


def unseen(labels: Labels, seen: set[str]) -> np.ndarray:
    """Positions of the first question of each family that is not in ``seen``."""
    families = labels.families
    return np.array([i for i in first_of_families(families) if families[i] not in seen], dtype=np.int64)


def seeds_of(folder: Path) -> list[Path]:
    """The predictor folder and those of its other seeds. Raises ConfigError where there is no predictor."""
    if not (folder / "config.json").is_file():
        text = f"{folder} holds no predictor (config.json); give the --out of verl_dots.difficulty.train"
        raise ConfigError(text, key=str(folder), reason="file")
    return [folder, *sorted(folder.glob("seed-*"))]


def merge(scores_of_seeds: Sequence[Scores]) -> Scores:
    """Scores of several seeds as one list of draws."""
    return {name: [value for scores in scores_of_seeds for value in scores[name]] for name in scores_of_seeds[0]}


def summary(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds and draws, per method and score."""
    return {
        method: {
            f"{name}_{kind}": float(function(values))
            for name, values in found.items()
            for kind, function in (("mean", np.mean), ("std", np.std))
        }
        for method, found in scores.items()
    }


def table(scores: Mapping[str, Scores], title: str) -> Table:
    """One row per method: rho and calibration error, mean and standard deviation."""
    view = Table(title=title)
    for name in ("method", "rho", "calibration error", "scores"):
        view.add_column(name, justify="left" if name == "method" else "right")
    for method, row in summary(scores).items():
        cells = (f"{row[f'{name}_mean']:.3f} ± {row[f'{name}_std']:.3f}" for name in ("rho", "calibration_error"))
        view.add_row(method, *cells, str(len(scores[method]["rho"])))
    return view


def add_labeller_option(parser: argparse.ArgumentParser) -> None:
    """--labeller of `train` and `evaluate`."""
    parser.add_argument(
        "--labeller",
        nargs="+",
        metavar="NAME",
        help="model that was asked, for label files that do not say: one name, or one a file (default: the file)",
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m verl_dots.difficulty.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "predictor", type=Path, metavar="PREDICTOR", help="folder that verl_dots.difficulty.train wrote"
    )
    parser.add_argument(
        "labels", nargs="+", type=Path, metavar="LABELS", help="label files (parquet), of questions with answers"
    )
    parser.add_argument("--backbone", required=True, help="model folder that the predictor was trained on")
    parser.add_argument("--cache", default=DEFAULT_CACHE, help="folder of cached embeddings (default: %(default)s)")
    parser.add_argument(
        "--references",
        type=int,
        default=256,
        help="questions whose difficulty the predictor is given (default: %(default)s)",
    )
    parser.add_argument(
        "--draws", type=int, default=5, help="times that references are drawn; scores are means (default: %(default)s)"
    )
    add_labeller_option(parser)
    parser.add_argument(
        "--difficulty-range",
        nargs=2,
        type=float,
        default=(0.0, 100.0),
        metavar=("EASY", "HARD"),
        help="difficulties in the label files of the easiest and the hardest question (default: 0 100)",
    )
    parser.add_argument("--json", type=Path, help="where the results go (default: PREDICTOR/evaluation.json)")
    return parser.parse_args(arguments)


def target_of(options: argparse.Namespace) -> Path:
    """Where the results are written."""
    return options.json or options.predictor / "evaluation.json"


def evaluate(options: argparse.Namespace) -> tuple[dict[str, Scores], dict[str, Scores], int, int]:
    """Scores per method and per labeller, questions scored, questions left out: training saw them, or repeated."""
    require_whole("--references", options.references, 1)
    require_whole("--draws", options.draws, 1)
    require_interval("--difficulty-range", options.difficulty_range)
    folders = seeds_of(options.predictor)
    try_output(target_of(options), options.labels, "--json")
    try_folder(Path(options.cache).expanduser(), f"--cache {options.cache}")
    config = PredictorConfig.load(folders[0])
    backbone = Backbone(options.backbone, config.embedding_layers, reads=config.embedding_reads)
    models = [AttentionPredictor.load(folder, backbone.id) for folder in folders]
    seen = {name for folder in folders for name in json.loads((folder / FAMILIES_FILE).read_text())}
    labels = read_labels(options.labels, tuple(options.difficulty_range), options.labeller)
    merged = labels.one_per_family()
    kept = merged.take(unseen(merged, seen))
    check_labellers(kept, options.references)
    embedding_P = cached_embeddings(backbone.inputs(kept.texts, kept.answers), backbone, options.cache)

    def predictors(embedding_N: np.ndarray, difficulty_N: np.ndarray) -> list[Callable]:
        return [predictor_of(model, embedding_N, difficulty_N) for model in models]

    found: dict[str, list[Scores]] = {OFF_THE_SHELF: [], "predictor": []}
    for _, asked_N, difficulty_N in kept.by_labeller():
        embedding_N = embedding_P[asked_N]
        methods = {OFF_THE_SHELF: [off_the_shelf(embedding_N, difficulty_N)]}
        methods["predictor"] = predictors(embedding_N, difficulty_N)
        for name, ones in methods.items():
            found[name] += [score_draws(one, difficulty_N, options.references, options.draws) for one in ones]
    by_labeller = score_labellers(predictors, embedding_P, kept, options.references, options.draws)
    scores = {name: merge(ones) for name, ones in found.items()}
    return scores, by_labeller, len(kept), len(labels) - len(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    console = Console()
    try:
        scores, by_labeller, count, left_out = evaluate(options)
    except (ValueError, FileNotFoundError) as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False)
        return 2
    console.print(table(scores, f"{count} questions, {options.references} references, {options.draws} draws"))
    console.print(labeller_table(by_labeller))
    console.print(f"{left_out} labelled questions left out: seen in training, or repeated")
    target = target_of(options)
    content = {"questions": count, "left_out": left_out, "references": options.references, "methods": summary(scores)}
    target.write_text(json.dumps(content | {"scores": scores, "labellers": by_labeller}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
