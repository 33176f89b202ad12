"""The files of a matrix: what they say is known, complete, and of its type; what is wrong is named."""

from functools import partial

import pytest

from scripts.reproduce.campaign import needed_inputs
from scripts.reproduce.matrix import MatrixError, Timing, quickened
from scripts.reproduce.matrix_file import read_matrix
from tests.launches import ROOT
from tests.scripts.reproduce.matrices import COMBINATION, FILE, matrix_of
from verl_dots.evidence.methods import LOOKS

FOLDER = ROOT / "recipes/evidence"


@pytest.fixture
def read(tmp_path):
    """Reads a matrix with some entries changed."""
    return partial(matrix_of, tmp_path)


@pytest.mark.parametrize("changed, message", [
    ({"combinations": {"one": {**COMBINATION, "setps": 3}}}, "one: there is no 'setps'; did you mean steps?"),
    ({"combinations": {"one": {k: v for k, v in COMBINATION.items() if k != "stands_for"}}},
     "combinations.one lacks stands_for"),
    ({"combinations": {"one": {**COMBINATION, "steps": 0}}}, "one.steps is 0; give a number of 1 or more"),
    ({"combinations": {"one": {**COMBINATION, "of_method": {"mime": []}}}}, "of_method: there is no 'mime'"),
    ({"combinations": {"one": 3}}, "combinations.one is 3; it must hold"),
    ({"methods": {"grpo": {"overides": []}}, "quick": {}}, "methods.grpo: there is no 'overides'"),
    ({"quick": FILE["quick"] | {"methods": ["dots"]}}, "quick.methods: there is no 'dots'"),
    ({"inputs": {"data/d": {"make": [], "needs": ["models/n"]}, "models/m": {"make": []}}}, "there is no 'models/n'"),
    ({"time": {"steps": 3}}, "time lacks rounds"),
])  # fmt: skip
def test_what_is_wrong_is_named(read, changed, message):
    with pytest.raises(MatrixError) as caught:
        read(**changed)
    assert message in str(caught.value)


@pytest.mark.parametrize("asked, named", [
    ({"methods": ["mine"], "rollouts": 0}, "evaluate.rollouts is 0; give a number of 1 or more"),
    ({"methods": ["mines"], "rollouts": 2}, "evaluate.methods: there is no 'mines'; did you mean mine"),
    ({"methods": ["mine"]}, "evaluate lacks rollouts"),
])  # fmt: skip
def test_a_wrong_evaluation_is_refused(read, asked, named):
    with pytest.raises(MatrixError, match=named):
        read(evaluate=asked)


def of_one(**changed) -> dict:
    """The entry of combinations with one of it changed."""
    return {"combinations": {"one": COMBINATION | changed, "two": COMBINATION}}


@pytest.mark.parametrize("changed, key, told", [
    ({"seeds": 3}, "seeds", "seeds is 3; give a list of different numbers of 0 or more"),
    ({"seeds": [1, 1]}, "seeds", "seeds is [1, 1]"),
    ({"seeds": []}, "seeds", "seeds is []"),
    ({"seeds": ["1"]}, "seeds", "seeds is ['1']"),
    ({"methods": ["grpo", "mine"]}, "methods", "methods is ['grpo', 'mine']; give entries, each by its name"),
    ({"methods": {}, "quick": {}}, "methods", "methods is {}"),
    ({"methods": {1: {}, "grpo": {}}}, "methods", "methods is {1: {}, 'grpo': {}}"),
    ({"methods": {"grpo": "dapo"}}, "methods.grpo", "methods.grpo is 'dapo'; it must hold ['only', 'overrides',"),
    ({"methods": {"grpo": {"recipe": 3}}}, "recipe", "methods.grpo.recipe is 3; give a text"),
    ({"methods": {"grpo": {"overrides": "a=1"}}}, "overrides", "grpo.overrides is 'a=1'; give a list of texts"),
    ({"methods": {"grpo": {"timed": [1]}}}, "timed", "grpo.timed is [1]"),
    ({"methods": {"grpo": {"only": "two"}}}, "only", "grpo.only is 'two'"),
    ({"time": {"steps": "30x", "rounds": 1}}, "steps", "time.steps is '30x'; give a number of 1 or more"),
    ({"time": {"steps": 3, "rounds": True}}, "rounds", "time.rounds is True"),
    ({"time": {"steps": 3, "rounds": 2, "some": ["2"]}}, "some", "time.some is ['2']"),
    ({"time": 3}, "time", "time is 3; it must hold ['rounds', 'steps']"),
    ({"combinations": None}, "combinations", "combinations is None"),
    (of_one(batch=2.5), "batch", "one.batch is 2.5"),
    (of_one(title=["t"]), "title", "one.title is ['t']; give a text"),
    (of_one(learning_rate="fast"), "learning_rate", "one.learning_rate is 'fast'; give a number above 0"),
    (of_one(learning_rate=0), "learning_rate", "one.learning_rate is 0"),
    (of_one(save_freq=-2), "save_freq", "one.save_freq is -2; give a number of 1 or more, or -1 for none"),
    (of_one(stands_for=3), "stands_for", "one.stands_for is 3; give a text, or a list of texts"),
    (of_one(apart="no"), "apart", "one.apart is 'no'; give true or false"),
    (of_one(of_method={"mine": "c=3"}), "of_method", "one.of_method is {'mine': 'c=3'}"),
    (of_one(of_method=["mine"]), "of_method", "one.of_method is ['mine']"),
    ({"inputs": ["data/d"]}, "inputs.yaml", "inputs.yaml is ['data/d']"),
    ({"inputs": {"data/d": {"make": "touch a"}}}, "make", "data/d.make is 'touch a'; give a list of texts"),
    ({"quick": FILE["quick"] | {"seeds": 7}}, "seeds", "quick.seeds is 7"),
    ({"quick": FILE["quick"] | {"time": {"steps": 0, "rounds": 1}}}, "steps", "quick.time.steps is 0"),
    ({"quick": ["grpo"]}, "quick", "quick is ['grpo']; it must hold"),
    ({"evaluate": {"methods": "mine", "rollouts": 2}}, "methods", "evaluate.methods is 'mine'"),
    ({"evaluate": 5}, "evaluate", "evaluate is 5; it must hold"),
])  # fmt: skip
def test_an_entry_of_another_type_is_named(read, changed, key, told):
    with pytest.raises(MatrixError) as caught:
        read(**changed)
    assert told in str(caught.value) and caught.value.key.endswith(key) and caught.value.reason in ("type", "range")


def test_numbers_and_lists_are_taken_as_they_are_written(read):
    """YAML reads 1e-5 as a text, and 1.0e-5 as a number."""
    matrix = read(
        time={"steps": 3, "rounds": 2, "some": [2]}, **of_one(learning_rate="1e-5", stands_for=["a", "b"]), quick={}
    )
    assert (matrix.time, matrix.seeds, matrix.quick) == (Timing(3, 2, (2,)), (1, 2), None)
    one, two = matrix.combinations.values()
    assert (one.learning_rate, one.stands_for, two.learning_rate, two.stands_for) == (
        "1e-5",
        ("a", "b"),
        "0.00012",
        "r",
    )


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
