"""What counts as the same run: the content of tensors, not the bytes of a pickle; each row, those of one step too."""

import json
import shutil

import numpy as np
import pytest
import torch

from scripts.faults.compare import differences
from verl_dots.manifest import write_manifest

NAME = "actor/extra_state_world_size_1_rank_0.pt"


def state(**changed) -> dict:
    return {
        "weights": torch.arange(3.0),
        "rng": ("MT19937", np.arange(4, dtype=np.uint32)),
        "rate": 0.5,
        "lost": float("nan"),
    } | changed


def run_in(folder, content, rows=({"step": 1, "reward": 0.5},)):
    """A run folder with one checkpoint."""
    shutil.rmtree(folder, ignore_errors=True)
    checkpoint = folder / "global_step_1"
    (checkpoint / "actor").mkdir(parents=True)
    torch.save(content, checkpoint / NAME)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_manifest(checkpoint, 1)
    return folder


@pytest.fixture
def plain(tmp_path):
    return run_in(tmp_path / "plain", state())


def test_one_content_in_other_bytes_is_the_same(tmp_path, plain):
    shared, parts = ["a" * 300] * 2, ["a" * 300, "".join(["a"] * 300)]
    one, other = run_in(tmp_path / "one", state(names=shared)), run_in(tmp_path / "other", state(names=parts))
    assert (one / "global_step_1" / NAME).read_bytes() != (other / "global_step_1" / NAME).read_bytes()
    assert differences(one, other) == []


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"weights": torch.tensor([0.0, 1.0, 2.0000002])}, "/weights"),
        ({"weights": torch.tensor([-0.0, 1.0, 2.0])}, "/weights"),
        ({"weights": torch.arange(3.0).double()}, "/weights"),
        ({"rng": ("MT19937", np.array([0, 1, 2, 4], dtype=np.uint32))}, "/rng/1"),
        ({"rng": ["MT19937", np.arange(4, dtype=np.uint32), 1]}, "/rng"),
        ({"rate": 0.25}, "/rate"),
        ({"more": 1}, "its content"),
    ],
)
def test_a_value_that_differs_is_named(tmp_path, plain, changed, place):
    [found] = differences(run_in(tmp_path / "run", state(**changed)), plain)
    assert found == f"{NAME} of the last checkpoint differs in {place}"


def test_a_file_too_many_or_too_few_is_named(tmp_path, plain):
    run = run_in(tmp_path / "run", state())
    (run / "global_step_1" / "data.pt").write_bytes(b"1")
    write_manifest(run / "global_step_1", 1)
    assert differences(run, plain) == ["the last checkpoint has data.pt"]
    assert differences(plain, run) == ["the last checkpoint lacks data.pt"]


def test_rows_are_compared_each_for_itself(tmp_path, plain):
    again = run_in(tmp_path / "run", state(), [{"step": 1, "reward": 0.25}, {"step": 1, "reward": 0.5}])
    assert differences(again, plain) == ["metrics.jsonl, line 1, step 1: reward is 0.25, not 0.5"]
    lacks = run_in(tmp_path / "run", state(), [{"step": 1}])
    assert differences(lacks, plain) == ["metrics.jsonl: step 1 lacks 1 figures, such as ['reward']"]
    timed = run_in(tmp_path / "run", state(), [{"step": 1, "reward": 0.5, "timing_s/step": 3.0}])
    assert differences(timed, plain) == []
