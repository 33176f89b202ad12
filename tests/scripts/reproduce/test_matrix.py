"""The matrix files: what they say is known, complete, and composes; what is wrong is named."""

from pathlib import Path

import pytest
import yaml

from scripts.reproduce.campaign import needed_inputs
from scripts.reproduce.matrix import Input, Matrix, MatrixError, Timing, narrowed, quickened, read_matrix
from scripts.reproduce.plan import planned_runs
from tests.launches import ROOT
from verl_dots.evidence.methods import LOOKS
from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN

FOLDER = ROOT / "recipes/evidence"
COMBINATION = {
    "title": "t", "model": "models/m", "data": "data/d", "learning_rate": 1.2e-4, "batch": 8, "steps": 30,
    "test_freq": 3, "chosen": "c", "row": "r",
}  # fmt: skip
FILE = {
    "seeds": [1, 2],
    "methods": {"mine": {"recipe": "dots_rr", "overrides": ["a=1"]}, "grpo": {}},
    "time": {"steps": 4, "rounds": 2},
    "combinations": {"one": COMBINATION, "two": COMBINATION | {"overrides": ["b=2"], "of_method": {"mine": ["c=3"]}}},
    "quick": {
        "methods": ["grpo"], "combinations": ["two"], "seeds": [7], "steps": 5, "test_freq": 1,
        "time": {"steps": 3, "rounds": 1},
    },
}  # fmt: skip
INPUTS = {"data/d": {"make": ["make it"], "needs": ["models/m"]}, "models/m": {"make": ["make m"]}}


@pytest.fixture
def read(tmp_path):
    """Reads a matrix with some entries changed."""

    def of(inputs=INPUTS, **changed) -> Matrix:
        (tmp_path / "inputs.yaml").write_text(yaml.dump(inputs))
        (tmp_path / "mine.yaml").write_text(yaml.dump(FILE | changed))
        return read_matrix(tmp_path / "mine.yaml")

    return of


def words(matrix: Matrix, kind: str = ACCURACY_RUN) -> list[str]:
    """Of each run what differs, in order."""
    return [f"{run.combination} {run.method} {run.seed}" for run in planned_runs(matrix, [kind], Path("runs"))]


def test_accuracy_runs_come_seed_by_seed_with_grpo_of_each_combination_first(read):
    assert words(read()) == [
        "one grpo 1", "two grpo 1", "one mine 1", "two mine 1", "one grpo 2", "two grpo 2", "one mine 2", "two mine 2",
    ]  # fmt: skip


def test_timing_runs_come_in_rounds_with_the_methods_of_a_combination_side_by_side_in_turn(read):
    assert words(read(), TIMING_RUN) == [
        "one grpo 1", "one mine 1", "two mine 1", "two grpo 1", "one mine 2", "one grpo 2", "two grpo 2", "two mine 2",
    ]  # fmt: skip


def test_a_method_of_some_combinations_is_run_on_these_alone(read):
    methods = {"mine": {"recipe": "dots_rr", "only": ["two"]}, "grpo": {}}
    matrix = read(methods=methods)
    assert words(matrix)[:3] == ["one grpo 1", "two grpo 1", "two mine 1"] and "one mine 1" not in words(matrix)
    assert words(matrix, TIMING_RUN)[:3] == ["one grpo 1", "two mine 1", "two grpo 1"]
    assert "one mine 2" not in words(matrix, TIMING_RUN)
    methods["mine"]["only"] = ["tow"]
    with pytest.raises(MatrixError, match="methods.mine.only: there is no 'tow'; did you mean two?"):
        read(methods=methods)


def test_accuracy_runs_of_some_methods_are_evaluated_with_what_the_combination_says_of_data(read):
    asked = {"methods": ["mine"], "rollouts": 16, "overrides": ["data.max_prompt_length=8"]}
    one = COMBINATION | {"overrides": ["data.max_response_length=9", "b=2"]}
    matrix = read(evaluate=asked, combinations={"one": one}, quick={})
    runs = planned_runs(matrix, [ACCURACY_RUN, TIMING_RUN], Path("runs"))
    found = {(run.kind, run.method): " ".join(run.evaluation) for run in runs if run.seed == 1}
    assert found.pop(("accuracy", "mine")) == (
        "python -m verl_dots.evaluate runs/one/mine-seed1 --data data/d/val.parquet --rollouts 16 device=cpu "
        "data.max_prompt_length=8 data.max_response_length=9"
    )
    assert set(found.values()) == {""} and len(found) == 3


@pytest.mark.parametrize("asked, named", [
    ({"methods": ["mine"], "rollouts": 0}, "evaluate.rollouts is 0; give a number of 1 or more"),
    ({"methods": ["mines"], "rollouts": 2}, "evaluate.methods: there is no 'mines'; did you mean mine"),
    ({"methods": ["mine"]}, "evaluate lacks rollouts"),
])  # fmt: skip
def test_a_wrong_evaluation_is_refused(read, asked, named):
    with pytest.raises(MatrixError, match=named):
        read(evaluate=asked)


def test_overrides_of_timing_runs_come_last_and_are_in_no_other(read):
    method = {"recipe": "dots_rr", "overrides": ["a=1"], "timed": ["a=2"]}
    matrix = read(methods={"mine": method, "grpo": {}})
    of = {run.kind: run for run in planned_runs(matrix, [ACCURACY_RUN, TIMING_RUN], Path("r")) if run.method == "mine"}
    assert of["time"].command[-1] == "a=2" and "a=1" in of["time"].command
    assert "a=2" not in of["accuracy"].command


def test_a_run_has_the_overrides_of_its_combination_and_method_last(read):
    runs = {(run.kind, str(run)): run for run in planned_runs(read(), [ACCURACY_RUN, TIMING_RUN], Path("runs"))}
    run = runs["accuracy", "accuracy: two, mine, seed 1"]
    assert run.command == (
        "bash", "recipes/cpu/dots_rr.sh", "trainer.experiment_name=mine",
        "actor_rollout_ref.actor.optim.lr=0.00012", "data.train_batch_size=8",
        "actor_rollout_ref.actor.ppo_mini_batch_size=8", "trainer.test_freq=3", "trainer.save_freq=10",
        "a=1", "b=2", "c=3",
    )  # fmt: skip
    assert run.variables == {"DATA": "data/d", "MODEL": "models/m", "SEED": "1", "STEPS": "30"}
    assert run.folder == Path("runs/two/mine-seed1")
    assert run.shown.startswith("DATA=data/d MODEL=models/m SEED=1 STEPS=30 RUN=runs/two/mine-seed1 bash rec")
    timing = runs["time", "time: one, grpo, seed 2"]
    assert timing.variables["STEPS"] == "4" and timing.folder == Path("runs/one/time/grpo-seed2")
    assert timing.command[-3:] == ("trainer.test_freq=-1", "trainer.val_before_train=False", "trainer.save_freq=-1")


def test_the_quick_matrix_is_a_part_with_fewer_steps_in_a_folder_of_its_own(read):
    quick = quickened(read())
    assert (quick.name, words(quick), quick.time) == ("mine-quick", ["two grpo 7"], Timing(3, 1))
    assert (quick.combinations["two"].steps, quick.combinations["two"].test_freq) == (5, 1)


def test_a_matrix_is_narrowed_by_names_that_it_knows(read):
    assert words(narrowed(read(), ["mine"], ["one"], [5])) == ["one mine 5"]
    second = narrowed(read(), combinations=["one"], rounds=[2])
    assert words(second, TIMING_RUN) == ["one mine 2", "one grpo 2"]
    with pytest.raises(MatrixError, match="--methods: there is no 'mime'; did you mean mine?"):
        narrowed(read(), ["mime"])


def test_inputs_come_after_those_that_they_need(read):
    assert [one.path for one in needed_inputs(read())] == ["models/m", "data/d"]
    assert needed_inputs(read())[1] == Input("data/d", ("make it",), ("models/m",))
    circle = INPUTS | {"models/m": {"make": ["m"], "needs": ["data/d"]}}
    with pytest.raises(MatrixError, match="models/m needs data/d needs models/m: a circle"):
        needed_inputs(read(circle))


@pytest.mark.parametrize("changed, message", [
    ({"combinations": {"one": {**COMBINATION, "setps": 3}}}, "one: there is no 'setps'; did you mean steps?"),
    ({"combinations": {"one": {k: v for k, v in COMBINATION.items() if k != "row"}}}, "combinations.one lacks row"),
    ({"combinations": {"one": {**COMBINATION, "steps": 0}}}, "one.steps is 0; give a number of 1 or more"),
    ({"combinations": {"one": {**COMBINATION, "of_method": {"mime": []}}}}, "of_method: there is no 'mime'"),
    ({"combinations": {"one": 3}}, "combinations.one is 3; it must hold"),
    ({"methods": {"grpo": {"overides": []}}, "quick": {}}, "methods.grpo: there is no 'overides'"),
    ({"quick": FILE["quick"] | {"methods": ["dots"]}}, "quick.methods: there is no 'dots'"),
    ({"inputs": {"data/d": {"make": [], "needs": ["models/n"]}, "models/m": {"make": []}}}, "there is no 'models/n'"),
    ({"time": {"steps": 3}}, "time lacks rounds"),
])  # fmt: skip
def test_what_is_wrong_is_named(read, changed, message):
    with pytest.raises(MatrixError) as refused:
        read(**changed)
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["cpu", "savings"])
def test_what_the_kept_matrices_name_is_there(name):
    matrix = read_matrix(FOLDER / f"{name}.yaml")
    assert all((ROOT / f"recipes/cpu/{method.recipe}.sh").is_file() for method in matrix.methods.values())
    places = {place for of in matrix.combinations.values() for place in (of.model, of.data)}
    made = {one.path for one in needed_inputs(matrix)}
    assert places <= made, "inputs.yaml says how every data set and model is made"


def test_the_matrix_of_the_evidence_has_every_method_and_three_seeds():
    matrix = read_matrix(FOLDER / "cpu.yaml")
    assert set(matrix.methods) == set(LOOKS)
    assert len(matrix.seeds) == 3 and matrix.time.rounds >= 2
    assert set(quickened(matrix).methods) == {"grpo", "dots_rr"}
