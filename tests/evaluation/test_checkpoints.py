"""What a CHECKPOINT argument is taken for."""

from pathlib import Path

import pytest

from tests.refusals import refused
from tests.run_on_disk import stock_checkpoint
from verl_dots.evaluation.checkpoints import Checkpoint, find_checkpoint, require_as_saved
from verl_dots.manifest import MANIFEST, write_manifest


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A model, and a run of which the newest checkpoint has its weights and an older one has not."""
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "models" / "tiny" / name).write_text("{}")
    stock_checkpoint(tmp_path / "runs" / "mine", 60)
    (tmp_path / "runs" / "mine" / "global_step_20").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_folder_and_a_hub_id(there):
    assert find_checkpoint("models/tiny") == Checkpoint("tiny", "models/tiny", Path("models/tiny"))
    assert find_checkpoint("Qwen/Qwen2.5-0.5B") == Checkpoint("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B")


@pytest.mark.parametrize("given", ["runs/mine", "runs/mine/global_step_60", "runs/mine/global_step_60/actor"])
def test_a_run_its_newest_checkpoint_and_its_shards_are_the_same(there, given, caplog):
    caplog.set_level("INFO")
    found = find_checkpoint(given)
    step = there / "runs" / "mine" / "global_step_60"
    assert found.name == "mine/global_step_60"
    assert found.folder.resolve() == step
    assert found.shards.resolve() == step / "actor"
    assert (there / found.model).resolve() == step / "actor" / "huggingface"
    assert ("its newest checkpoint is global_step_60" in caplog.text) == (given == "runs/mine")


def test_weights_that_verl_saved_as_a_model_need_no_merging(there):
    hugging_face = there / "runs/mine/global_step_60/actor/huggingface"
    (hugging_face / "model.safetensors").write_bytes(b"weights")
    found = find_checkpoint("runs/mine")
    assert (found.model, found.shards) == ("runs/mine/global_step_60/actor/huggingface", None)


@pytest.mark.parametrize(
    "given, named",
    [
        ("./nowhere", ""),
        ("runs/other/global_step_60", ""),
        ("runs", "it holds ['mine']"),
        ("runs/mine/global_step_20", "max_actor_ckpt_to_keep"),
        ("runs/mine/global_step_60/actor/huggingface", "/runs/mine/global_step_60'"),
        ("runs/mine/latest_checkpointed_iteration.txt", ""),
    ],
)
def test_anything_else_is_refused(there, given, named):
    with refused(given, "file", named):
        find_checkpoint(given)


def test_a_newest_checkpoint_that_is_gone(there):
    (there / "runs/mine/latest_checkpointed_iteration.txt").write_text("80\n")
    (there / "runs/mine/global_step_60/actor/model_world_size_1_rank_0.pt").unlink()
    with refused("runs/mine/latest_checkpointed_iteration.txt", "file", "global_step_80", "['global_step_20'"):
        find_checkpoint("runs/mine")


def test_a_checkpoint_of_another_kind(there):
    (there / "runs/mine/global_step_60/actor/fsdp_config.json").unlink()
    with refused("runs/mine/global_step_60/actor", "file", "--backend megatron"):
        find_checkpoint("runs/mine")


@pytest.mark.parametrize("tracker", [None, b"", b"\0\0", b"80", b"4", b"8"])
def test_the_newest_checkpoint_with_all_weights_is_taken_whatever_the_tracker_says(tmp_path, tracker, caplog):
    run = tmp_path / "run"
    for step in (4, 6, 8):
        stock_checkpoint(run, step)
    (run / "global_step_6" / "data.pt").unlink()  # which an evaluation does not read
    (run / "global_step_8" / "actor" / "model_world_size_1_rank_0.pt").write_bytes(b"PK cut short")
    (run / "latest_checkpointed_iteration.txt").unlink()
    if tracker is not None:
        (run / "latest_checkpointed_iteration.txt").write_bytes(tracker)
    assert find_checkpoint(str(run)).name == "run/global_step_6"
    assert "left out global_step_8 (actor/model_world_size_1_rank_0.pt is damaged or cut short)" in caplog.text


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


SHARD, WEIGHTS = "actor/model_world_size_1_rank_0.pt", "actor/huggingface/model.safetensors"


@pytest.fixture
def listed(there):
    """The same, whose newest checkpoint has a list of its files."""
    step = there / "runs/mine/global_step_60"
    write_manifest(step, 60)
    return step


@pytest.mark.parametrize("given", ["runs/mine", "runs/mine/global_step_60", "runs/mine/global_step_60/actor", "link"])
@pytest.mark.parametrize("name", [SHARD, "actor/huggingface/config.json"])
def test_a_changed_byte_in_shards_is_refused_with_the_file(listed, given, name):
    (listed.parents[2] / "link").symlink_to(listed)
    found = find_checkpoint(given)
    require_as_saved(found)
    flip(listed / name)
    place = listed.parents[2] / "link" if given == "link" else listed
    with refused(str(place), "damaged", f"{name} has changed since it was saved (checksum)"):
        require_as_saved(found)


@pytest.mark.parametrize("given", ["runs/mine", "runs/mine/global_step_60/actor/huggingface", "link"])
def test_a_changed_byte_in_the_weights_of_a_saved_model_is_refused(listed, given):
    (listed / WEIGHTS).write_bytes(b"weights")
    write_manifest(listed, 60)
    (listed.parents[2] / "link").symlink_to(listed / "actor" / "huggingface")
    found = find_checkpoint(given)
    flip(listed / SHARD)  # which are not read
    require_as_saved(found)
    flip(listed / WEIGHTS)
    with refused(str(listed), "damaged", f"{WEIGHTS} has changed since it was saved (checksum)"):
        require_as_saved(found)


def test_what_an_evaluation_does_not_read_may_have_changed_or_be_gone(listed):
    flip(listed / "actor/optim_world_size_1_rank_0.pt")
    (listed / "actor/extra_state_world_size_1_rank_0.pt").unlink()
    (listed / "data.pt").unlink()
    require_as_saved(find_checkpoint("runs/mine/global_step_60"))


@pytest.mark.parametrize("kind", ["no list", "sizes alone", "a model", "a hub id"])
def test_what_has_no_checksums_is_taken(listed, kind):
    flip(listed / SHARD)
    if kind == "no list":
        (listed / MANIFEST).unlink()
    else:
        size = (listed / SHARD).stat().st_size
        (listed / MANIFEST).write_text(f'{{"step": 60, "files": {{"{SHARD}": {size}}}}}')
    given = {"a model": "models/tiny", "a hub id": "actor/model"}.get(kind, "runs/mine/global_step_60")
    require_as_saved(find_checkpoint(given))


def test_a_damaged_list_is_refused(listed):
    (listed / MANIFEST).write_text("[]")
    with refused(str(listed), "damaged", MANIFEST):
        require_as_saved(find_checkpoint("runs/mine/global_step_60"))
