"""Which checkpoints are complete, which is the newest, and which stay."""

import json
import logging

import pytest

from tests.run_on_disk import own_checkpoint, stock_checkpoint
from verl_dots import checkpoints
from verl_dots.checkpoints import TRACKER, WEIGHTS_ONLY, Needs
from verl_dots.files import partial_name
from verl_dots.manifest import MANIFEST
from verl_dots.state import Kind

RESUME = Needs()
WEIGHTS_AND_DATA = Needs(contents=("model",), listed=False)


def names(folders):
    return [folder.name for folder in folders]


def test_checkpoints_are_in_the_order_of_their_steps_and_nothing_else_is_one(tmp_path):
    for name in ("global_step_100", "global_step_20", "global_step_3", "global_step_x", "global_step_7.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / "global_step_5").write_text("a file")
    assert names(checkpoints.checkpoints_in(tmp_path)) == ["global_step_3", "global_step_20", "global_step_100"]


@pytest.mark.parametrize("make", [stock_checkpoint, own_checkpoint])
@pytest.mark.parametrize(
    "file",
    [
        "data.pt",
        "actor/model_world_size_1_rank_0.pt",
        "actor/optim_world_size_1_rank_0.pt",
        "actor/extra_state_world_size_1_rank_0.pt",
        "actor/fsdp_config.json",
    ],
)
def test_a_file_that_is_missing_cut_short_or_nul_is_named(tmp_path, make, file):
    folder = make(tmp_path, 4)
    assert checkpoints.faults(folder, RESUME) == []
    whole = (folder / file).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", bytes(len(whole))):
        (folder / file).write_bytes(damaged)
        assert any(file in fault for fault in checkpoints.faults(folder, RESUME)), damaged[:20]
    (folder / file).unlink()
    assert any(f"{file} is missing" in fault for fault in checkpoints.faults(folder, RESUME))


def test_stock_verl_needs_the_files_of_all_ranks_and_models(tmp_path):
    folder = stock_checkpoint(tmp_path, 4, ranks=3, critic=True)
    both = Needs(models=("actor", "critic"))
    assert checkpoints.faults(folder, both) == []
    (folder / "critic" / "optim_world_size_3_rank_2.pt").unlink()
    assert checkpoints.faults(folder, both) == ["critic/optim_world_size_3_rank_2.pt is missing"]
    assert checkpoints.faults(folder, RESUME) == []
    assert checkpoints.faults(folder, Needs(contents=("model",), models=("actor", "critic"))) == []


def test_weights_alone_are_enough_for_an_evaluation(tmp_path):
    folder = stock_checkpoint(tmp_path, 4)
    (folder / "data.pt").unlink()
    (folder / "actor" / "optim_world_size_1_rank_0.pt").unlink()
    assert checkpoints.faults(folder, WEIGHTS_ONLY) == []
    assert len(checkpoints.faults(folder, RESUME)) == 2


def test_megatron_says_last_that_it_has_written_all(tmp_path):
    folder = stock_checkpoint(tmp_path, 4)
    actor = folder / "actor"
    for file in [file for file in actor.iterdir() if file.is_file()]:
        file.unlink()
    (actor / "transformer_config.json").write_text("{}")
    assert checkpoints.faults(folder, RESUME) == ["actor/ckpt_contents.json is missing: it was not written to its end"]
    (actor / "ckpt_contents.json").write_text("{}")
    assert checkpoints.faults(folder, RESUME) == []


def test_states_of_stages_are_part_of_it(tmp_path):
    folder = own_checkpoint(tmp_path, 4, states=("replay",))
    needs = Needs(states=(Kind("replay"),))
    assert checkpoints.faults(folder, needs) == []
    assert "no state file" in checkpoints.faults(folder, Needs(states=(Kind("selection"),)))[0]
    content = bytearray((folder / "replay.safetensors").read_bytes())
    content[-2] ^= 1
    (folder / "replay.safetensors").write_bytes(content)
    assert "replay.safetensors is damaged" in checkpoints.faults(folder, needs)[0]


def test_a_damaged_list_makes_no_complete_checkpoint(tmp_path):
    folder = own_checkpoint(tmp_path, 4)
    for text in ("", "\0" * 40, "[]", '{"files": 3}'):
        (folder / MANIFEST).write_text(text)
        assert checkpoints.faults(folder, RESUME)[0].startswith(f"{MANIFEST} is damaged"), text


def test_the_newest_complete_one_is_found_whatever_the_tracker_says(tmp_path):
    for step in (2, 4, 10):
        own_checkpoint(tmp_path, step)
    (tmp_path / "global_step_10" / "data.pt").unlink()
    (tmp_path / "global_step_12").mkdir()
    found, skipped = checkpoints.newest_complete(tmp_path, RESUME)
    assert found.name == "global_step_4"
    assert checkpoints.describe(skipped) == (
        "global_step_12 (data.pt is missing, actor/ is missing); global_step_10 (data.pt is missing)"
    )


@pytest.mark.parametrize(
    "content, named",
    [
        (b"20", 20),
        (b"20\n", 20),
        (b"", ""),
        (b"\0\0", "\0\0"),
        (b"twenty", "twenty"),
        (b"-3", "-3"),
        (b"\xff", "�"),
        ("٥".encode(), "٥"),
        (b"9" * 5000, "9" * 40),
        (b"123456789012345678", 123456789012345678),
    ],
)
def test_what_the_tracker_says(tmp_path, content, named):
    assert checkpoints.tracked(tmp_path) is None
    (tmp_path / TRACKER).write_bytes(content)
    assert checkpoints.tracked(tmp_path) == named


def test_pruning_counts_complete_folders_on_disk(tmp_path):
    """Of 2, 4, 6, 8 (6 without its data, 9 not finished) two complete ones stay: 8 and 4."""
    for step in (2, 4, 6, 8):
        own_checkpoint(tmp_path, step)
    (tmp_path / "global_step_6" / "data.pt").unlink()
    (tmp_path / "global_step_9").mkdir()
    assert names(checkpoints.prune(tmp_path, 2, RESUME)) == ["global_step_6", "global_step_2"]
    assert names(checkpoints.checkpoints_in(tmp_path)) == ["global_step_4", "global_step_8", "global_step_9"]
    assert names(checkpoints.prune(tmp_path, 1, RESUME)) == ["global_step_4"]
    assert names(checkpoints.prune(tmp_path, 1, RESUME)) == []


def test_nothing_is_pruned_where_nothing_is_complete(tmp_path):
    for step in (2, 4):
        (own_checkpoint(tmp_path, step) / "data.pt").unlink()
    assert checkpoints.prune(tmp_path, 1, RESUME) == []
    assert len(checkpoints.checkpoints_in(tmp_path)) == 2


def test_what_comes_after_the_step_that_a_run_begins_from_is_put_aside(tmp_path, caplog):
    for step in (2, 4, 6):
        own_checkpoint(tmp_path, step)
    with caplog.at_level(logging.WARNING):
        place = checkpoints.set_aside(tmp_path, 2)
    assert names(checkpoints.checkpoints_in(place)) == ["global_step_4", "global_step_6"]
    assert "its earlier global_step_4, global_step_6 are kept in superseded-" in caplog.text
    assert checkpoints.tracked(tmp_path) == 2
    assert checkpoints.set_aside(tmp_path, 2) is None
    checkpoints.set_aside(tmp_path, 0)
    assert checkpoints.tracked(tmp_path) is None


def test_a_checkpoint_that_is_written_again_is_none_until_it_is_whole(tmp_path, monkeypatch, caplog):
    """Not even where it is cut off, or where a file cannot be removed."""
    folder = own_checkpoint(tmp_path, 4)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.shutil, "rmtree", lambda folder, ignore_errors: None)
        checkpoints.revoke(folder)
    assert f"{folder} could not be removed whole" in caplog.text
    assert checkpoints.faults(folder, RESUME) == [f"{MANIFEST} is missing: it was not saved to its end"]
    assert "data.pt is missing" in checkpoints.faults(folder, WEIGHTS_AND_DATA)


def test_nothing_that_a_killed_save_has_left_is_in_the_checkpoint_that_takes_its_place(tmp_path):
    folder = own_checkpoint(tmp_path, 4)
    (folder / "transfer_queue").mkdir()
    for name in ("in_flight.safetensors", "transfer_queue/0.pkl", partial_name("data.pt"), "actor/.tmpESHFel"):
        (folder / name).write_bytes(b"half")
    checkpoints.revoke(folder)
    assert not folder.exists()
    checkpoints.revoke(folder)


def test_a_link_to_a_checkpoint_elsewhere_is_removed_alone(tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    kept = {step: own_checkpoint(other, step) for step in (2, 4, 6)}
    own_checkpoint(run, 8)
    for step in (2, 4, 6):
        (run / f"global_step_{step}").symlink_to(f"../other/global_step_{step}")
    assert checkpoints.faults(run / "global_step_4", RESUME) == []
    assert names(checkpoints.prune(run, 3, RESUME)) == ["global_step_2"]
    checkpoints.revoke(run / "global_step_4")  # which will be written again
    place = checkpoints.set_aside(run, 4)
    assert checkpoints.checkpoints_in(run) == []
    assert (place / "global_step_6").resolve() == kept[6]
    assert all(checkpoints.faults(folder, RESUME, checksums=True) == [] for folder in kept.values())


def test_a_save_that_was_cut_off_after_its_last_file_is_no_checkpoint(tmp_path):
    """All of verl's files and ours are there; the list of them, which is written last, is not."""
    folder = own_checkpoint(tmp_path, 4)
    (folder / MANIFEST).unlink()
    assert checkpoints.faults(folder, RESUME) == [f"{MANIFEST} is missing: it was not saved to its end"]
    assert checkpoints.faults(folder, Needs(listed=False)) == []  # verl writes it in the background
    assert checkpoints.faults(stock_checkpoint(tmp_path, 6), RESUME) == []


def test_a_changed_file_of_the_same_size_is_told_by_its_checksum(tmp_path):
    folder = own_checkpoint(tmp_path, 4)
    content = bytearray((folder / "actor" / "huggingface" / "config.json").read_bytes())
    (folder / "actor" / "huggingface" / "config.json").write_bytes(b"[]")
    assert content == b"{}" and checkpoints.faults(folder, RESUME) == []
    told = "actor/huggingface/config.json has changed since it was saved (checksum)"
    assert checkpoints.faults(folder, RESUME, checksums=True) == [told]


def test_weights_are_compared_with_their_checksums_and_other_files_are_not(tmp_path):
    folder = own_checkpoint(tmp_path, 4)
    for name in ("actor/optim_world_size_1_rank_0.pt", "actor/huggingface/config.json", "config.yaml"):
        (folder / name).write_bytes(b"x" * (folder / name).stat().st_size)
    told = ["actor/huggingface/config.json has changed since it was saved (checksum)"]
    assert checkpoints.weight_faults(folder, "actor") == checkpoints.weight_faults(folder, "actor/huggingface") == told
    assert checkpoints.weight_faults(folder, "critic") == []
    (folder / MANIFEST).unlink()
    assert checkpoints.weight_faults(folder, "actor") == []


def test_the_size_is_that_of_what_was_saved(tmp_path):
    folder = own_checkpoint(tmp_path, 4)
    saved = checkpoints.bytes_of(folder)
    assert saved == sum(said["bytes"] for said in json.loads((folder / MANIFEST).read_text())["files"].values()) > 1000
    (folder / "actor" / "merged-float32").mkdir()
    (folder / "actor" / "merged-float32" / "model.safetensors").write_bytes(bytes(5000))
    assert checkpoints.bytes_of(folder) == saved
