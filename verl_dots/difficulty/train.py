"""Train difficulty predictors on labelled questions and score them on questions set aside.

    python -m verl_dots.difficulty.train LABELS... --backbone FOLDER --out FOLDER [--seeds 1 2 3] [--preset paper]
        [--hold-out-labeller NAME]

The labels of several models stay apart: a batch and its references are of one of them, a labeller.
Three parts, by family of texts so that no repeated question lies on two sides: --test-share is only scored (the same
for every seed), --dev-share chooses the epoch (by seed), the rest is trained on. OUT holds the predictor of the first
seed, OUT/seed-N those of the others, OUT/training.json the results.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import NamedTuple

from verl_dots.guard import guarded

if __name__ == "__main__":
    guarded("train", "nothing was written: the same command starts from the beginning")

import numpy as np

from verl_dots.difficulty import baselines, evaluate, inputs, train_options
from verl_dots.difficulty.embeddings import Backbone, cached_embeddings
from verl_dots.difficulty.labeller_scores import check_labellers, labeller_table
from verl_dots.difficulty.labels import Labels, in_share, read_labels
from verl_dots.difficulty.method_scores import Draws, Scores, Seen, score_by_labeller, score_methods
from verl_dots.difficulty.prediction_scores import truth
from verl_dots.difficulty.train_options import PRESETS, check
from verl_dots.difficulty.training import Trained, TrainingConfig, train
from verl_dots.settings import ConfigError
from verl_dots.terminal import errors, output, sentence

TEST_SEED = 0
OTHER_SEED = 2**31  # above every seed that can be given


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command."""
    return train_options.parse(arguments, __doc__)


def split(labels: Labels, options: argparse.Namespace) -> tuple[Labels, np.ndarray]:
    """The labels without those of the labellers held out, and bool [P], the test questions of all labels.

    Raises:
        Refusal: there is no such labeller, none is left, or one has too few test questions.
    """
    if options.hold_out_labeller:
        labels.of(options.hold_out_labeller)
    training = [name for name in labels.labellers if name not in options.hold_out_labeller]
    if not training:
        text = f"--hold-out-labeller {' '.join(options.hold_out_labeller)}: no other labeller is left to train with"
        raise ConfigError(text, key="--hold-out-labeller", reason="choice")
    test_P = in_share(labels.families, options.test_share, TEST_SEED)
    check_labellers(labels.take(np.flatnonzero(test_P)), options.references)
    return labels.of(training), test_P


def chooses_epoch(families: Sequence[str], share: float, seed: int) -> np.ndarray:
    """Bool [P], the questions that choose the epoch, about `share` of those that are not tested.

    The seed of the test has taken those that it would draw, so in its place another draws them.
    """
    return in_share(families, share, OTHER_SEED if seed == TEST_SEED else seed)


class Result(NamedTuple):
    """What `run` gives.

    Attributes:
        trained: a predictor for each seed.
        scores: of every method on the test part, over the labellers in training.
        families: that training saw.
        baselines: fitted to the same questions.
        test_difficulty_P: of the questions of the test part.
        labellers: scores of the predictors on the test part for each labeller, those held out among them.
    """

    trained: list[Trained]
    scores: dict[str, Scores]
    families: list[str]
    baselines: dict[str, baselines.Ridge]
    test_difficulty_P: np.ndarray
    labellers: dict[str, dict[str, list[float]]]


def run(labels: Labels, embedding_P: np.ndarray, backbone: str, options: argparse.Namespace) -> Result:
    """Train one predictor per seed, and score them on the test part."""
    training, of_test_P = split(labels, options)
    asked = np.flatnonzero(np.isin(labels.ids, training.ids))
    of_all = Seen.of(embedding_P, labels, options.surface)
    seen, test_P = of_all.at(asked), of_test_P[asked]
    known, test = (training.take(np.flatnonzero(part_P)) for part_P in (~test_P, test_P))
    config = PRESETS[options.preset](
        embedding_P.shape[1], backbone_id=backbone, embedding_layers=options.layers, embedding_reads=options.reads,
        surface=inputs.VERSION if options.surface else "", shared_adapter=options.shared_adapter,
        **({} if options.calibration is None else {"calibration": options.calibration}),
    )  # fmt: skip
    settings = TrainingConfig(options.epochs, references=options.references, early_stopping=not options.last_epoch)
    trained = []
    rate_LP, input_P = known.success_rate_LP, seen.input_P[~test_P]
    for seed in options.seeds:
        held_out = chooses_epoch(known.families, options.dev_share, seed)
        trained.append(train(input_P, rate_LP, held_out, config, settings, seed, options.device, progress=True))
    fitted = baselines.fit(seen.at(~test_P).columns, 1 - known.success_rate_P)
    models, drawn = [one.model for one in trained], Draws(options.references, options.draws)
    scores = score_methods(models, fitted, seen.at(test_P), test, drawn, f"predictor ({options.preset})")
    asked_in_test = labels.take(np.flatnonzero(of_test_P))
    by_labeller = score_by_labeller(models, of_all.at(of_test_P), asked_in_test, drawn)
    return Result(trained, scores, list(known.families), fitted, 1 - test.success_rate_P, by_labeller)


def save(
    trained: Sequence[Trained],
    scores: dict,
    families: Sequence[str],
    fitted: Mapping[str, baselines.Ridge],
    test_difficulty_P: np.ndarray,
    labellers: dict,
    options: argparse.Namespace,
) -> None:
    """Write predictors, the families that training saw, the baselines, and training.json."""
    for position, (seed, one) in enumerate(zip(options.seeds, trained, strict=True)):
        folder = options.out if position == 0 else options.out / f"seed-{seed}"
        one.model.save(folder)
        (folder / evaluate.FAMILIES_FILE).write_text(json.dumps(sorted(families)) + "\n")
    content = {
        "preset": options.preset,
        "seeds": options.seeds,
        "config": asdict(trained[0].model.config),
        "held_out_rho_by_epoch": [one.rho_by_epoch for one in trained],
        "epochs_kept": [one.epoch for one in trained],
        "test": truth(test_difficulty_P),
        "methods": evaluate.summary(scores),
        "scores": scores,
        "labellers": labellers,
        "labellers_held_out": options.hold_out_labeller,
    }
    baselines.save(options.out, fitted)
    (options.out / "training.json").write_text(json.dumps(content, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        check(options)
        labels = read_labels(options.labels, tuple(options.difficulty_range), options.labeller).one_per_family()
        split(labels, options)  # refuses what cannot be held out
        backbone = Backbone(options.backbone, options.layers, reads=options.reads)
        embedding_P = cached_embeddings(
            backbone.inputs(labels.texts, labels.answers), backbone, options.cache, device=options.device
        )
        result = run(labels, embedding_P, backbone.id, options)
        save(*result, options)
    except (ValueError, OSError) as error:
        errors().print(f"error: {sentence(error)}")
        return 2
    title = f"{len(result.test_difficulty_P)} test questions, {options.references} references, {options.draws} draws, "
    title += f"seeds {options.seeds}, embeddings of {options.reads.replace('_', ' ')}"
    output().print(evaluate.table(result.scores, title, truth(result.test_difficulty_P)))
    output().print(labeller_table(result.labellers, options.hold_out_labeller))
    return 0


if __name__ == "__main__":
    sys.exit(main())
