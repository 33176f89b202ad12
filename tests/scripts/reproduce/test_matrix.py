"""The runs of a matrix in their order, and a matrix made smaller."""

from functools import partial
from pathlib import Path

import pytest

from scripts.reproduce.campaign import needed_inputs
from scripts.reproduce.matrix import Input, Matrix, MatrixError, Timing, narrowed, quickened
from scripts.reproduce.plan import planned_runs
from tests.refusals import refused
from tests.scripts.reproduce.matrices import COMBINATION, INPUTS, matrix_of
from verl_dots.evidence.records import ACCURACY_RUN, TIMING_RUN


@pytest.fixture
def read(tmp_path):
    """Reads a matrix with some entries changed."""
    return partial(matrix_of, tmp_path)


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
    apart = COMBINATION | {"apart": True}
    matrix = read(evaluate=asked, combinations={"one": one, "slow": apart}, quick={})
    runs = planned_runs(matrix, [ACCURACY_RUN, TIMING_RUN], Path("runs"))
    assert not any(run.evaluation for run in runs if run.combination == "slow")
    found = {
        (run.kind, run.method): " ".join(run.evaluation) for run in runs if run.seed == 1 and run.combination == "one"
    }
    assert found.pop(("accuracy", "mine")) == (
        "python -m verl_dots.evaluate runs/one/mine-seed1 --data data/d/val.parquet --rollouts 16 device=cpu "
        "data.max_prompt_length=8 data.max_response_length=9"
    )
    assert set(found.values()) == {""} and len(found) == 3


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


@pytest.mark.parametrize("given", [{"seeds": [1, 1]}, {"seeds": [-1]}, {"rounds": [2, 2]}, {"rounds": [0]}])
def test_a_run_is_asked_for_once(read, given):
    """Two of one number would be made in one folder."""
    [(name, numbers)] = given.items()
    with refused(f"--{name}", "range", " ".join(map(str, numbers)), kind=MatrixError):
        narrowed(read(), **given)


@pytest.mark.parametrize("steps", [0, -5])
def test_a_run_has_a_step(read, steps):
    with refused("--steps", "range", str(steps), kind=MatrixError):
        narrowed(read(), steps=steps)


def test_inputs_come_after_those_that_they_need(read):
    assert [one.path for one in needed_inputs(read())] == ["models/m", "data/d"]
    assert needed_inputs(read())[1] == Input("data/d", ("make it",), ("models/m",))
    circle = INPUTS | {"models/m": {"make": ["m"], "needs": ["data/d"]}}
    with pytest.raises(MatrixError, match="models/m needs data/d needs models/m: a circle"):
        needed_inputs(read(circle))
