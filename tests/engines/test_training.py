"""verl's engine and ours, side by side in a process of their own: the same log-probs and weights from fewer tokens."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launches import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "recipes" / "cpu" / "tiny_model"
# Three prompts of 9, 30 and 17 tokens, each with responses of 12, 11, 10 and 9.
TOKENS = 4 * (9 + 30 + 17) + 3 * (12 + 11 + 10 + 9)
TREES = 9 + 30 + 17 + 3 * (12 + 11 + 10 + 9)


@pytest.fixture(scope="module")
def compared() -> dict:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(Path(__file__).with_name("compared.py")), str(MODEL)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", ["whole", "micro", "temperatures", "two temperatures", "positions"])
def test_log_probs_entropies_and_their_squares_are_those_of_verls_engine(compared, case):
    assert compared["worst"][case].keys() == {"log_probs", "entropy", "sum_pi_squared"}
    assert max(compared["worst"][case].values()) < 2e-5


def test_what_a_group_shares_is_computed_once(compared):
    [whole] = compared["computed"]["whole"]
    assert TREES <= whole < 1.25 * TREES < 0.7 * TOKENS
    assert len(compared["computed"]["micro"]) > 1 and sum(compared["computed"]["micro"]) < TOKENS


@pytest.mark.parametrize("case", ["temperatures", "two temperatures"])
def test_rows_share_their_beginnings_whatever_their_temperatures(compared, case):
    assert compared["computed"][case] == compared["computed"]["whole"]


def test_rows_with_positions_of_their_own_are_left_to_verl(compared):
    assert compared["computed"]["positions"] == []
    assert set(compared["worst"]["positions"].values()) == {0.0}


def test_rows_of_which_something_else_is_wanted_are_left_to_verl(compared):
    found = compared["trees_in_spite_of"]
    assert found.pop("none")
    assert found == dict.fromkeys(["images", "packed", "fused", "distilled", "distilled_alone"], False)


def test_optimizer_steps_lead_to_the_same_weights(compared):
    assert compared["weights"]["moved"] > 1e-3
    assert compared["weights"]["apart"] < 1e-5
    assert compared["weights"]["apart with two temperatures"] < 1e-5


def test_only_a_model_that_takes_a_mask_of_trees_gets_one(compared):
    found = compared["takes_trees"]
    assert found.pop("plain")
    others = ["layers of windows", "a window", "dropout", "dropped part", "positions in the attention", "recurrent"]
    assert found == dict.fromkeys([*others, "half", "eager"], False)


def test_a_token_costs_the_weights_that_it_meets(compared):
    # Attention 4 x 16 x 16, heads' norms 2 x 8, norms 3 x 16, MLP 3 x 16 x 16, and the head 264 x 16.
    dense = 4 * 256 + 16 + 48 + 3 * 256 + 264 * 16
    assert compared["tokens_cost"]["untied"] == compared["tokens_cost"]["tied"] == dense
    assert compared["tokens_cost"]["experts"] == dense + 4 * 16  # one expert of four, and the router
