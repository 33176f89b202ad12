"""What the checks that train make of their runs, and the optimizer of one of them; without a run."""

import pytest
import torch

from verl_dots.doctor.launching import Run
from verl_dots.doctor.runs import greedy_rows, trained
from verl_dots.doctor.stage_memory import Watched
from verl_dots.doctor.there_and_back import ThereAndBack

FIRST = {f"q{number}": "a" for number in range(20)}
OTHER = dict.fromkeys(FIRST, "b")


@pytest.mark.parametrize(
    ("said", "engine", "outcomes"),
    [
        ([FIRST, OTHER, FIRST], "hf", ["pass", "pass"]),
        ([FIRST, FIRST, FIRST], "hf", ["fail", "pass"]),  # the new weights have not come
        ([FIRST, OTHER, OTHER], "hf", ["pass", "fail"]),  # nor the first ones again
        ([FIRST, OTHER, FIRST | {"q1": "c"}], "hf", ["pass", "fail"]),
        ([FIRST, OTHER, FIRST | {"q1": "c"}], "vllm", ["pass", "pass"]),  # which rounds in bf16
        ([FIRST, OTHER, FIRST | {f"q{number}": "c" for number in range(3)}], "vllm", ["pass", "fail"]),
    ],
)
def test_greedy_responses_change_and_come_back(said, engine, outcomes):
    assert [row.outcome for row in greedy_rows(said, engine)] == outcomes


def test_weights_are_changed_once_and_then_are_the_first_again_bit_for_bit():
    torch.manual_seed(0)
    weights = [torch.nn.Parameter(torch.randn(5, 7) / 10), torch.nn.Parameter(torch.ones(7))]
    first = [weight.detach().clone() for weight in weights]
    optimizer = ThereAndBack(weights, lr=1e-3, weight_decay=0.1)
    optimizer.step()
    changes = [(weight - was).abs() for weight, was in zip(weights, first, strict=True)]
    assert all(change.mean() > 0.005 and change.max() <= 0.0501 for change in changes)
    for _ in range(2):
        optimizer.step()
        assert all(torch.equal(weight, was) for weight, was in zip(weights, first, strict=True))


def test_a_run_without_a_finite_loss_in_each_step_fails(tmp_path):
    good = {"actor/pg_loss": 0.0, "actor/grad_norm": 1.0}
    rows = {1: good, 2: good, 3: good | {"actor/pg_loss": float("nan")}}
    [row, memory] = trained("preset x", Run(tmp_path, rows, Watched()))
    assert (row.outcome, row.value) == ("fail", "no finite actor/pg_loss of step 3")
    assert memory.check == "preset x: peak memory"
    assert trained("preset x", Run(tmp_path, rows | {3: good}, Watched()))[0].outcome == "pass"
