"""Scores by labeller: by hand, and of the commands `train --hold-out-labeller` and `evaluate` on label files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from tests.difficulty.tiny_backbones import save_qwen2
from tests.refusals import refused
from verl_dots.difficulty import evaluate, train
from verl_dots.difficulty.labeller_scores import check_labellers, labeller_table, score_labellers
from verl_dots.difficulty.labels import Labels, family, in_share

NAN = float("nan")


def labels(*rows, labellers=("x", "y")):
    names = tuple(map(str, range(len(rows[0]))))
    return Labels(names, names, names, np.array(rows), labellers)


def test_scores_by_hand():
    # Predicted are 0.6 to 1. For x they measure 0.1 to 0.5; y, asked the last four, finds them 0.1 easier than x.
    found = score_labellers(
        lambda embedding_N, difficulty_N: [lambda known, asked: difficulty_N[asked] * 0 + embedding_N[asked, 0]],
        np.array([[0.6], [0.7], [0.8], [0.9], [1.0]]),
        labels([0.9, 0.8, 0.7, 0.6, 0.5], [NAN, 0.9, 0.8, 0.7, 0.6]),
        references=1,
        draws=3,
    )
    for name, bias in (("x", 0.5), ("y", 0.6)):
        # Each question is in a bin of its own, all of them off to one side: the calibration error is the bias.
        np.testing.assert_allclose(found[name]["rho"], 1.0)
        np.testing.assert_allclose(found[name]["bias"], bias)
        np.testing.assert_allclose(found[name]["calibration_error"], bias)
        assert {len(values) for values in found[name].values()} == {3}


def test_the_table_marks_who_was_held_out():
    scores = {"x": {"rho": [0.4, 0.6], "bias": [-0.1, -0.1], "calibration_error": [0.1, 0.3]}}
    console = Console(width=120)
    with console.capture() as shown:
        console.print(labeller_table(scores | {"y": scores["x"]}, ["y"]))
    assert "0.500 ± 0.100" in shown.get() and "-0.100 ± 0.000" in shown.get() and "0.200 ± 0.100" in shown.get()
    assert "y (held out)" in shown.get() and "x (held out)" not in shown.get()


def test_a_labeller_of_too_few_questions_is_named():
    check_labellers(labels([0.5] * 4, [NAN, 0.1, 0.2, 0.3]), 1)
    with refused("--references", "size", "labeller 'y': 2 references of 3"):
        check_labellers(labels([0.5] * 4, [NAN, 0.1, 0.2, 0.3]), 2)


def chosen(*more):
    fixed = ["labels", "--backbone", "b", "--out", "o", "--references", "20", "--draws", "2", "--epochs", "1"]
    return train.parse([*fixed, *more])


def several(P=300):
    """Three labellers of different levels, the third of whom was asked another half than the first."""
    generator = np.random.default_rng(0)
    embedding_P = generator.normal(size=(P, 8)).astype(np.float32)
    rate_LP = 1 / (1 + np.exp(-2 * embedding_P[:, 0] - np.array([[-1.0], [0.0], [2.0]])))
    rate_LP[0, P // 2 :] = rate_LP[2, : P // 2] = NAN
    names = tuple(f"question {place}" for place in range(P))
    return Labels(names, names, names, rate_LP, ("weak", "middling", "strong")), embedding_P


def test_a_labeller_held_out_is_in_no_batch_and_no_family_is_on_both_sides():
    data, embedding_P = several()
    options = chosen("--hold-out-labeller", "middling", "--test-share", "0.3")
    training, test_P = train.split(data, options)
    assert training.labellers == ("weak", "strong") and len(training) == 300
    trained, _, families, *_ = train.run(data, embedding_P, "tiny", options)
    assert not set(families) & {family(data.texts[place]) for place in np.flatnonzero(test_P)}
    # The same without these labels at all: bit for bit.
    again, *_ = train.run(data.of(["weak", "strong"]), embedding_P, "tiny", chosen("--test-share", "0.3"))
    other = again[0].model.state_dict()
    assert all((value == other[name]).all() for name, value in trained[0].model.state_dict().items())


def test_questions_of_the_labeller_held_out_alone_are_not_trained_on():
    data, embedding_P = several()
    options = chosen("--hold-out-labeller", "middling", "strong", "--references", "5")
    _, _, families, *_ = train.run(data, embedding_P, "tiny", options)
    asked = [place for place in range(150) if not in_share(data.families, 0.2, train.TEST_SEED)[place]]
    assert sorted(families) == sorted(data.families[place] for place in asked)


def test_what_cannot_be_held_out_is_refused():
    data, _ = several()
    with refused("labellers", "choice", "'weak', 'middling', 'strong'"):
        train.split(data, chosen("--hold-out-labeller", "strange"))
    with refused("--hold-out-labeller", "choice", "no other labeller is left"):
        train.split(data, chosen("--hold-out-labeller", "weak", "middling", "strong"))


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ([], False),
        (["--last-epoch"], True),
        (["--preset", "paper"], True),
        (["--preset", "paper", "--no-last-epoch"], False),
    ],
)
def test_the_papers_preset_keeps_the_last_epoch(arguments, last):
    assert chosen(*arguments).last_epoch is last


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Labels of two models in two files, and of a third, whom the rows name."""
    folder = tmp_path_factory.mktemp("files")
    generator = np.random.default_rng(0)
    for name, shift in (("weak", -1.0), ("strong", 1.0), ("new", 2.0)):
        rate_P = 1 / (1 + np.exp(-generator.normal(size=120) - shift))
        columns = {"question_id": [str(i) for i in range(120)], "text": [f"What is {i}+{i}?" for i in range(120)]}
        columns |= {"answer": [str(2 * i) for i in range(120)], "success_rate": rate_P}
        columns |= {"labeller": ["models/new"] * 120} if name == "new" else {}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    save_qwen2(folder / "backbone")
    return folder


def test_the_commands_print_rho_bias_and_calibration_error_of_each_labeller(files, capsys):
    common = ["--backbone", str(files / "backbone"), "--cache", str(files / "cache"), "--references", "5"]
    paths = [str(files / f"{name}.parquet") for name in ("weak", "strong", "new")]
    names = ["--labeller", "weak", "strong", "unused"]
    given = [*paths, *names, *common, "--out", str(files / "out"), "--epochs", "1", "--hold-out-labeller", "models/new"]
    assert train.main(given) == 0
    shown = capsys.readouterr().out
    for words in ("weak", "strong", "models/new (held out)", "bias"):
        assert words in shown
    content = json.loads((files / "out" / "training.json").read_text())
    assert sorted(content["labellers"]) == ["models/new", "strong", "weak"]
    assert content["labellers_held_out"] == ["models/new"]
    assert {len(found["bias"]) for found in content["labellers"].values()} == {5}
    # Of two labellers in training, one seed, five draws; the held-out one is not among the methods' scores.
    assert len(content["scores"]["predictor (default)"]["rho"]) == 10

    assert evaluate.main([str(files / "out"), *paths, *common]) == 0
    shown = capsys.readouterr().out
    assert "models/new" in shown and "bias" in shown
    found = json.loads((files / "out" / "evaluation.json").read_text())["labellers"]
    assert sorted(found) == sorted([paths[0], paths[1], "models/new"])
    # The same questions, references and predictor as in training's own test.
    assert found["models/new"] == content["labellers"]["models/new"]
