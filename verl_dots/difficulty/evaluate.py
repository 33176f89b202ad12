"""Score predictors on labelled questions that they have not seen, beside the baselines.

    python -m verl_dots.difficulty.evaluate PREDICTOR LABELS... --backbone FOLDER [--references 256 --draws 5]

PREDICTOR is what `train` wrote; its other seeds (PREDICTOR/seed-*) are scored with it. Questions of a family (the same
text but for case, spaces and punctuation) that training saw are left out.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("evaluate", "nothing was written: the same command starts from the beginning")

import numpy as np
from rich import box
from rich.table import Table

from verl_dots.difficulty import baselines
from verl_dots.difficulty.embeddings import Backbone, cached_embeddings
from verl_dots.difficulty.labeller_scores import check_labellers, labeller_table
from verl_dots.difficulty.labels import Labels, first_of_families, read_labels
from verl_dots.difficulty.method_scores import Draws, Scores, Seen, score_by_labeller, score_methods
from verl_dots.difficulty.model import AttentionPredictor, PredictorConfig
from verl_dots.difficulty.options import add, require_interval, require_whole
from verl_dots.difficulty.prediction_scores import CHOSEN, truth
from verl_dots.files import holds_json, read_json, try_folder, try_output, write_atomically
from verl_dots.settings import ConfigError
from verl_dots.terminal import errors, output, sentence

FAMILIES_FILE = "training_families.json"


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


def _families(file: Path) -> list[str]:
    """What training saw. Raises Refusal for a file that is none of it."""
    found = read_json(file, list, "train the predictor again")
    if not all(isinstance(name, str) for name in found):
        text = f"{file} must be a list of texts, as verl_dots.difficulty.train wrote it; train the predictor again"
        raise ConfigError(text, key=str(file), reason="type")
    return found


def summary(scores: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over seeds and draws, per method and score; without what a method lacks."""
    return {
        method: {
            f"{name}_{kind}": float(function(values))
            for name, values in found.items()
            if not np.isnan(values).any()
            for kind, function in (("mean", np.mean), ("std", np.std))
        }
        for method, found in scores.items()
    }


def table(scores: Mapping[str, Scores], title: str, truth: Mapping[str, float] | None = None) -> Table:
    """One row per method, means over seeds and draws; below it what the truth looks like.

    "eff. by d": share of effective groups among the chosen, nearest to 0.5 in predicted difficulty; "by e": of the
    greatest expected effectiveness.
    """
    view = Table(
        title=title, caption=None if truth is None else truth_line(truth), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    view.add_column("method", min_width=12)
    for name in ("rho", "95 %", "rho, even", "bias", "calib. error", "eff. by d", "by e"):
        view.add_column(name, justify="right", max_width=11 if " " in name else None, no_wrap=name == "rho")
    for method, row in summary(scores).items():
        rho = f"{row['rho_mean']:.3f} ± {row['rho_std']:.3f}"
        interval = f"{row['rho_low_mean']:.2f}-{row['rho_high_mean']:.2f}" if "rho_low_mean" in row else "–"
        others = ("rho_uniform", "bias", "calibration_error", "effective_nearest", "effective")
        view.add_row(method, rho, interval, *(_cell(row, f"{name}_mean") for name in others))
    return view


def _cell(row: Mapping[str, float], name: str) -> str:
    return f"{row[name]:.3f}" if name in row else "–"


def truth_line(truth: Mapping[str, float]) -> str:
    """The questions that were scored, and what the shares of effective groups lie between."""
    shown = {name: f"{value:.3f}" for name, value in truth.items()}
    return (
        f"{truth['questions']} questions: difficulty {shown['mean']} ± {shown['std']}, {truth['at_0']:.1%} at 0 and "
        f"{truth['at_1']:.1%} at 1. Effective groups (eff.) among {CHOSEN} chosen: {shown['effective_random']} at "
        f"random, {shown['effective_perfect']} at best"
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
    add(parser, "labels")
    parser.add_argument("--backbone", required=True, help="model folder that the predictor was trained on")
    add(parser, "--cache", "--references", "--draws", "--labeller", "--difficulty-range")
    parser.add_argument("--json", type=Path, help="where the results go (default: PREDICTOR/evaluation.json)")
    return parser.parse_args(arguments)


def target_of(options: argparse.Namespace) -> Path:
    """Where the results are written."""
    return options.json or options.predictor / "evaluation.json"


def evaluate(options: argparse.Namespace) -> tuple[dict[str, Scores], dict[str, Scores], dict[str, float], int]:
    """Scores per method and per labeller, the questions scored, how many were left out: seen before, or repeated."""
    require_whole("--references", options.references, 1)
    require_whole("--draws", options.draws, 1)
    require_interval("--difficulty-range", options.difficulty_range)
    folders = seeds_of(options.predictor)
    try_output(target_of(options), options.labels, "--json", holds_json("questions", "left_out", "methods"))
    try_folder(Path(options.cache).expanduser(), f"--cache {options.cache}")
    config = PredictorConfig.load(folders[0])
    backbone = Backbone(options.backbone, config.embedding_layers, reads=config.embedding_reads)
    models = [AttentionPredictor.load(folder, backbone.id) for folder in folders]
    seen = {name for folder in folders for name in _families(folder / FAMILIES_FILE)}
    labels = read_labels(options.labels, tuple(options.difficulty_range), options.labeller)
    merged = labels.one_per_family()
    kept = merged.take(unseen(merged, seen))
    check_labellers(kept, options.references)
    embedding_P = cached_embeddings(backbone.inputs(kept.texts, kept.answers), backbone, options.cache)
    seen_P, drawn = Seen.of(embedding_P, kept, bool(config.surface)), Draws(options.references, options.draws)
    scores = score_methods(models, baselines.load(folders[0]), seen_P, kept, drawn)
    by_labeller = score_by_labeller(models, seen_P, kept, drawn)
    return scores, by_labeller, truth(1 - kept.success_rate_P), len(labels) - len(kept)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    console = output()
    try:
        scores, by_labeller, found, left_out = evaluate(options)
    except (ValueError, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    title = f"{found['questions']} questions, {options.references} references, {options.draws} draws"
    console.print(table(scores, title, found))
    console.print(labeller_table(by_labeller))
    console.print(f"{left_out} labelled questions left out: seen in training, or repeated")
    target = target_of(options)
    content = {**found, "left_out": left_out, "references": options.references, "methods": summary(scores)}
    text = json.dumps(content | {"scores": scores, "labellers": by_labeller}, indent=2) + "\n"
    write_atomically(target, lambda partial: partial.write_text(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
