"""Every recipe of the testbed trains as it stands: two steps of each, through Ray and verl."""

import json
import math
import os
import sys
from pathlib import Path

import pytest

from tests.launches import Inputs, attended, environment, make_inputs, rows_of
from tests.recipes.recipe_runs import on_testbed

pytestmark = [pytest.mark.e2e, pytest.mark.long]
STEPS = 2


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Inputs:
    """As `inputs`, with questions enough for the largest batch and for rounds of selection."""
    return make_inputs(tmp_path_factory.mktemp("testbed"), questions=512)


@pytest.mark.parametrize("recipe", on_testbed(), ids=str)
def test_a_recipe_of_the_testbed_trains(places, tmp_path, recipe):
    variables = {
        "DATA": places.data, "MODEL": places.model, "RUN": tmp_path / "run", "CACHE": tmp_path / "cache",
        "STEPS": STEPS, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    command = ["bash", f"recipes/{recipe.script}", *recipe.arguments, "trainer.val_before_train=False"]
    done = attended(command, environment(**variables))
    assert done.returncode == 0, done.stdout[-4000:]
    rows = rows_of(tmp_path / "run")
    assert {1, STEPS} <= set(rows) and max(rows) == STEPS
    for step in (1, STEPS):
        learnt = [rows[step].get(f"actor/{key}", math.nan) for key in ("pg_loss", "grad_norm")]
        assert all(map(math.isfinite, learnt))
    assert any(key.startswith("val-core/") for key in rows[STEPS])
    assert json.loads((tmp_path / "run" / "run.json").read_text())["finished"]
