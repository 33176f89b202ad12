"""The files of a model in a checkpoint: what its description must say, and what is wrong with it."""

import json

import pytest

from tests.run_on_disk import own_checkpoint, stock_checkpoint
from verl_dots import checkpoints
from verl_dots.checkpoints import WEIGHTS_ONLY, Needs
from verl_dots.manifest import MANIFEST
from verl_dots.model_files import FSDP, MOST_RANKS, model_faults, world_size


@pytest.mark.parametrize("ranks", [1, 2, 64])
def test_the_number_of_ranks_is_read(tmp_path, ranks):
    (tmp_path / FSDP).write_text(json.dumps({"FSDP_version": 2, "world_size": ranks}))
    assert world_size(tmp_path) == ranks


BAD = [
    *("0", "-2", "2.7", "1.0", "true", "null", '"1"', "[1]", "NaN", "Infinity", "1e999"),
    *(str(MOST_RANKS + 1), "9" * 5000, "[" * 100_000),
]


@pytest.mark.parametrize("make", [stock_checkpoint, own_checkpoint])
@pytest.mark.parametrize("ranks", BAD, ids=lambda ranks: ranks[:9])
def test_any_other_number_is_damage_even_where_no_weights_are_left_to_miss(tmp_path, make, ranks):
    folder = make(tmp_path, 4)
    (folder / "actor" / FSDP).write_text(f'{{"world_size": {ranks}}}')
    (folder / MANIFEST).unlink(missing_ok=True)
    for file in (folder / "actor").glob("*.pt"):
        file.unlink()
    assert world_size(folder / "actor") is None
    for needs in (WEIGHTS_ONLY, Needs(listed=False)):
        (fault,) = checkpoints.faults(folder, needs)
        assert fault.startswith(f"actor/{FSDP} is damaged")


@pytest.mark.parametrize("text", ["", "[]", "1", "{}", "[" * 100_000], ids=lambda text: text[:9])
def test_a_description_that_is_none_is_damage(tmp_path, text):
    folder = stock_checkpoint(tmp_path, 4)
    (folder / "actor" / FSDP).write_text(text)
    assert FSDP in model_faults(folder, "actor", ("model",), by_list=False)[0]


def test_all_ranks_are_needed_where_no_list_tells_which_this_node_saw(tmp_path):
    folder = stock_checkpoint(tmp_path, 4, ranks=2)
    gone = "actor/model_world_size_2_rank_1.pt"
    (folder / gone).unlink()
    assert model_faults(folder, "actor", ("model", "another kind"), by_list=False) == [f"{gone} is missing"]
    assert model_faults(folder, "actor", ("model",), by_list=True) == []
    assert model_faults(folder, "critic", ("model",), by_list=True) == ["critic/ is missing"]
