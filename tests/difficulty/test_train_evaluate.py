import json

import numpy as np
import pytest
from rich.console import Console

from tests.refusals import refused
from verl_dots.difficulty import baselines, evaluate, train
from verl_dots.difficulty.labels import Labels
from verl_dots.difficulty.model import AttentionPredictor


def data(P=400):
    generator = np.random.default_rng(0)
    embedding_P = generator.normal(size=(P, 8)).astype(np.float32)
    rate_P = 1 / (1 + np.exp(-2 * embedding_P[:, 0]))
    return Labels(tuple(map(str, range(P))), tuple(f"question {i}" for i in range(P)), ("1",) * P, rate_P), embedding_P


def options(out, *more):
    fixed = ["labels", "--backbone", "b", "--out", str(out), "--references", "20", "--draws", "2", "--epochs", "1"]
    return train.parse([*fixed, "--seeds", "1", "2", *more])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("predictor")
    chosen = options(out)
    result = train.run(*data(), "tiny-1", chosen)
    train.save(*result, chosen)
    return out, result


def test_every_method_has_its_seeds_and_draws(trained):
    _, (_, scores, *_) = trained
    counts = {name: len(found["rho"]) for name, found in scores.items()}
    assert counts == {
        evaluate.OFF_THE_SHELF: 2, baselines.EMBEDDING: 2, baselines.SURFACE: 2, baselines.WORDS: 2,
        "predictor (default)": 4,
    }  # fmt: skip
    assert np.mean(scores["predictor (default)"]["rho"]) > 0.8 > np.mean(scores[evaluate.OFF_THE_SHELF]["rho"])


def test_files_say_what_was_trained_on_what(trained):
    out, (_, _, families, *_) = trained
    assert [folder.name for folder in evaluate.seeds_of(out)] == [out.name, "seed-2"]
    for folder in evaluate.seeds_of(out):
        AttentionPredictor.load(folder, backbone_id="tiny-1")
        assert json.loads((folder / evaluate.FAMILIES_FILE).read_text()) == sorted(families)
    assert json.loads((out / "training.json").read_text())["seeds"] == [1, 2]


def test_questions_seen_in_training_are_not_evaluated(trained):
    _, (_, _, families, *_) = trained
    labels, _ = data()
    assert len(evaluate.unseen(labels, set(families))) == len(labels) - len(families) > 40


def test_table_by_hand():
    scores = {"predictor": {"rho": [0.4, 0.6], "calibration_error": [0.1, 0.1]}}
    console = Console(width=80)
    with console.capture() as shown:
        console.print(evaluate.table(scores, "title"))
    (row,) = [line for line in shown.get().splitlines() if "predictor" in line]
    assert row.split() == ["predictor", "0.500", "±", "0.100", "–", "–", "–", "0.100", "–", "–"]


def test_bad_options_are_refused(tmp_path):
    with pytest.raises(SystemExit):
        options(tmp_path, "--seeds", "1", "1")
    with refused(str(tmp_path), "file"):
        evaluate.seeds_of(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "reason", "named"),
    [
        (["--epochs", "0"], "range", "1 or more"),
        (["--references", "0"], "range", "1 or more"),
        (["--draws", "-1"], "range", "1 or more"),
        (["--seeds", "1", "-2"], "range", "0..2147483647"),
        (["--test-share", "1"], "range", "1.0"),
        (["--dev-share", "nan"], "range", "nan"),
        (["--difficulty-range", "5", "5"], "range", "5.0 5.0"),
        (["--device", "cuda:99"], "machine", "cuda:99"),
        (["--device", "tpu9"], "choice", "tpu9"),
        (["--cache", "FILE/cache"], "file", "/file/cache "),
        (["--out", "FILE"], "file", "/file "),
    ],
)
def test_what_training_cannot_do_is_refused_before_anything_is_read(tmp_path, arguments, reason, named):
    (tmp_path / "file").touch()
    given = options(tmp_path, *[argument.replace("FILE", str(tmp_path / "file")) for argument in arguments])
    with refused(arguments[0], reason, named):
        train.check(given)


def test_an_out_folder_that_holds_a_predictor_is_left_alone(trained, capsys):
    out, _ = trained
    before = (out / "model.safetensors").read_bytes()
    assert train.main(["missing.parquet", "--backbone", "b", "--out", str(out)]) == 2
    assert "holds a predictor already" in " ".join(capsys.readouterr().err.split())  # in lines of some width
    assert (out / "model.safetensors").read_bytes() == before


def test_more_references_than_test_questions_are_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "train", None)
    with pytest.raises(ValueError, match="300 references of .* held-out questions: allowed are 1 to"):
        train.run(*data(), "tiny-1", options(tmp_path, "--references", "300"))


def test_what_the_presets_read(tmp_path):
    assert options(tmp_path).reads == "answer_and_question"
    assert options(tmp_path, "--preset", "paper").reads == "question"
    assert options(tmp_path, "--preset", "paper", "--reads", "answer_and_question").reads == "answer_and_question"
