import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.data_files import BITS, tensor_of
from tests.difficulty.tiny_backbones import save_encoder
from tests.refusals import refused
from verl_dots.difficulty import baselines, evaluate, train
from verl_dots.difficulty.labels import Labels, in_share
from verl_dots.difficulty.method_scores import OFF_THE_SHELF
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
        OFF_THE_SHELF: 2, baselines.EMBEDDING: 2, baselines.SURFACE: 2, baselines.WORDS: 2,
        "predictor (default)": 4,
    }  # fmt: skip
    assert np.mean(scores["predictor (default)"]["rho"]) > 0.8 > np.mean(scores[OFF_THE_SHELF]["rho"])


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


def test_one_projection_is_trained_where_that_is_asked_for(tmp_path):
    chosen = options(tmp_path, "--preset", "paper", "--shared-adapter", "--calibration", "group_code", "--seeds", "3")
    train.save(*train.run(*data(), "tiny-1", chosen), chosen)
    loaded = AttentionPredictor.load(tmp_path, backbone_id="tiny-1")
    assert loaded.config.shared_adapter and not hasattr(loaded, "reference_adapter")
    assert loaded.config.calibration == "group_code"
    assert json.loads((tmp_path / "training.json").read_text())["config"]["shared_adapter"]


def test_the_seed_of_the_test_has_questions_that_choose_the_epoch_and_the_others_keep_theirs(tmp_path):
    families = data()[0].families
    tested_P = in_share(families, 0.2, train.TEST_SEED)
    known = [name for name, tested in zip(families, tested_P, strict=True) if not tested]
    for seed in (1, 2, 3):
        assert np.array_equal(train.chooses_epoch(known, 0.15, seed), in_share(known, 0.15, seed))
    # About 320 questions: a deviation of 0.02.
    assert not in_share(known, 0.15, train.TEST_SEED).any()
    assert train.chooses_epoch(known, 0.15, train.TEST_SEED).mean() == pytest.approx(0.15, abs=0.06)
    assert len(train.run(*data(), "tiny-1", options(tmp_path, "--seeds", "0")).trained) == 1


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


def test_saved_baselines_predict_the_same(trained):
    out, result = trained
    labels, embedding_P = data()
    loaded = baselines.load(out)
    assert set(loaded) == {baselines.EMBEDDING, baselines.SURFACE, baselines.WORDS}
    for name, column_P in baselines.columns_of(embedding_P, labels.texts, labels.answers).items():
        expected = result.baselines[name](column_P)
        assert expected.shape == (400, 2) and loaded[name](column_P) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "content", [*(tensor_of(f"{baselines.SURFACE}/mean", dtype, 8) for dtype in BITS), b"", b"x" * 99]
)
def test_damaged_baselines_are_refused(tmp_path, content):
    (tmp_path / baselines.FILE).write_bytes(content)
    with refused(str(tmp_path / baselines.FILE), "damaged", "train the predictor again"):
        baselines.load(tmp_path)


def test_training_says_what_its_scores_depend_on(trained):
    out, (_, _, _, _, difficulty_P, _) = trained
    test = json.loads((out / "training.json").read_text())["test"]
    assert test["questions"] == len(difficulty_P) and test["std"] == pytest.approx(difficulty_P.std())
    assert "effective_mean" in json.loads((out / "training.json").read_text())["methods"]["predictor (default)"]


def test_the_presets_surface(tmp_path):
    given = ([], ["--no-surface"], ["--preset", "paper"])
    assert [options(tmp_path, *more).surface for more in given] == [True, False, False]
    with pytest.raises(SystemExit):
        options(tmp_path, "--preset", "paper", "--surface")


def test_trained_and_evaluated_from_files(tmp_path, capsys):
    """Through both commands, on a tiny backbone: questions that training saw are left out, all methods are scored."""
    backbone = save_encoder(tmp_path / "backbone")
    for name, start in (("labels", 0), ("others", 60)):
        rows = [
            {"question_id": f"{i}", "text": f"add {i} and {i % 7}", "answer": f"{i + i % 7}", "rollouts": 8,
             "success_rate": (i % 7) / 6}
            for i in range(start, start + 100)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    paths = ["--backbone", backbone, "--cache", str(tmp_path / "cache"), "--references", "4"]
    out = tmp_path / "predictor"
    assert train.main([str(tmp_path / "labels.parquet"), *paths, "--out", str(out), "--epochs", "1"]) == 0
    assert "at best" in " ".join(capsys.readouterr().out.split())
    assert evaluate.main([str(out), str(tmp_path / "others.parquet"), *paths]) == 0
    found = json.loads((out / "evaluation.json").read_text())
    seen = set(json.loads((out / evaluate.FAMILIES_FILE).read_text()))
    assert found["questions"] + found["left_out"] == 100 and found["questions"] >= 60 and len(seen) < 100
    assert set(found["methods"]) == {
        OFF_THE_SHELF, baselines.EMBEDDING, baselines.SURFACE, baselines.WORDS, "predictor",
    }  # fmt: skip
