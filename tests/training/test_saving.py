"""A checkpoint is written whole or not at all, in the room that there is, and old ones are removed after it."""

import errno
import json

import pytest
import torch
from safetensors.torch import save_file

from tests.launches import ROOT
from tests.run_on_disk import own_checkpoint, run_config, stock_checkpoint
from verl_dots.checkpoints import Needs, checkpoints_in, faults, tracked
from verl_dots.manifest import MANIFEST
from verl_dots.training import disk_space
from verl_dots.training.disk_space import DiskFullError
from verl_dots.training.in_flight import FILE, QUEUE
from verl_dots.training.resume import find_checkpoint
from verl_dots.training.saving import TORCH_WRITER, checkpoints_to_keep, save_whole

NEEDS = Needs()


def there(run):
    return [folder.name for folder in checkpoints_in(run)]


def save(run, step, write=None, **changes):
    config = run_config(run, **changes)
    save_whole(run, step, config, NEEDS, write or (lambda folder: written(run, step)))
    return config


def written(run, step):
    """A checkpoint of this package before its list of files."""
    (own_checkpoint(run, step) / MANIFEST).unlink()


def test_a_saved_checkpoint_is_complete_and_named(tmp_path):
    save(tmp_path, 2)
    assert faults(tmp_path / "global_step_2", NEEDS) == []
    assert (tmp_path / "global_step_2" / MANIFEST).is_file()
    assert tracked(tmp_path) == 2


def test_a_checkpoint_holds_no_file_of_a_killed_save_of_its_step(tmp_path):
    """A synchronous run that went on as an asynchronous one, was killed in a save, and is synchronous again."""
    written(tmp_path, 6)
    folder = tmp_path / "global_step_6"
    (folder / FILE).write_bytes(b"groups in flight")
    (folder / QUEUE).mkdir()
    (folder / QUEUE / "0.pkl").write_bytes(b"rows")
    save(tmp_path, 6)
    assert not (folder / FILE).exists() and not (folder / QUEUE).exists()
    assert json.loads((folder / MANIFEST).read_text())["files"].keys() == {
        str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST
    }
    assert find_checkpoint(run_config(tmp_path)) == folder


def test_who_asked_is_told_of_a_checkpoint_that_is_complete_and_named_and_of_no_other(tmp_path):
    told = []

    def saved(folder):
        told.append((folder.name, faults(folder, NEEDS, checksums=True), tracked(tmp_path)))

    save_whole(tmp_path, 2, run_config(tmp_path), NEEDS, lambda folder: stock_checkpoint(tmp_path, 2), saved)
    save_whole(tmp_path, 4, run_config(tmp_path), NEEDS, lambda folder: folder.mkdir(), saved)
    assert told == [("global_step_2", [], 2)] and tracked(tmp_path) == 2


@pytest.mark.parametrize("limit, left", [(1, [8]), (2, [6, 8]), (0, [2, 4, 6, 8]), (None, [2, 4, 6, 8])])
def test_the_limit_holds_on_disk_whoever_wrote_the_old_ones(tmp_path, limit, left):
    for step in (2, 4, 6):
        own_checkpoint(tmp_path, step)
    save(tmp_path, 8, trainer__max_actor_ckpt_to_keep=limit)
    assert there(tmp_path) == [f"global_step_{step}" for step in left]


def test_old_ones_stay_until_the_new_one_is_complete_and_verl_removes_none(tmp_path):
    own_checkpoint(tmp_path, 2)
    config = run_config(tmp_path, trainer__max_actor_ckpt_to_keep=1, trainer__max_critic_ckpt_to_keep=3)

    def write(folder):
        assert config.trainer.max_actor_ckpt_to_keep is None and config.trainer.max_critic_ckpt_to_keep is None
        stock_checkpoint(tmp_path, 4)
        (folder / "data.pt").unlink()  # as a crash would leave it
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_whole(tmp_path, 4, config, NEEDS, write)
    assert there(tmp_path) == ["global_step_2", "global_step_4"]
    assert faults(tmp_path / "global_step_4", NEEDS)
    assert (config.trainer.max_actor_ckpt_to_keep, config.trainer.max_critic_ckpt_to_keep) == (1, 3)


@pytest.mark.parametrize(
    "actor, critic, old, keep",
    [(None, None, False, None), (2, None, False, 2), (None, 3, False, 3), (2, 3, False, 3), (0, None, False, None),
     (5, 5, True, 1)],
)  # fmt: skip
def test_how_many_are_kept(tmp_path, actor, critic, old, keep):
    changes = {"max_actor_ckpt_to_keep": actor, "max_critic_ckpt_to_keep": critic, "remove_previous_ckpt_in_save": old}
    assert checkpoints_to_keep(run_config(tmp_path, **{f"trainer__{k}": v for k, v in changes.items()})) == keep


def test_a_checkpoint_without_room_is_not_begun(tmp_path):
    folder = own_checkpoint(tmp_path, 2)
    # As if the last one had been as large as all disks are.
    listed = json.loads((folder / MANIFEST).read_text())
    needed = disk_space.bytes_of(folder)
    disk_space.require_room(tmp_path / "global_step_4", needed)
    free = disk_space.free_bytes(tmp_path)
    with pytest.raises(DiskFullError) as refused:
        disk_space.require_room(tmp_path / "global_step_4", free * 2)
    told = str(refused.value)
    assert f"the disk of {tmp_path} is full: global_step_4 needs about {free * 2:,} bytes" in told
    assert "global_step_2 is there to resume from" in told
    assert needed == sum(said["bytes"] for said in listed["files"].values())


FULL = "the disk of {} is full: global_step_4 needs about .* bytes"


@pytest.mark.parametrize(
    ("error", "kind", "told", "left"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError, FULL, [2]),
        (RuntimeError("[rank 3] OSError: [Errno 122] Disk quota exceeded"), DiskFullError, FULL, [2]),
        (RuntimeError("NCCL error"), RuntimeError, "NCCL error", [2, 4]),
    ],
)
def test_the_last_checkpoint_stays_and_only_a_full_disk_is_called_one(tmp_path, error, kind, told, left):
    own_checkpoint(tmp_path, 2)

    def write(folder):
        stock_checkpoint(tmp_path, 4)
        raise error

    with pytest.raises(kind, match=told.format(tmp_path)) as raised:
        save(tmp_path, 4, write, trainer__max_actor_ckpt_to_keep=1)
    assert type(raised.value) is kind and there(tmp_path) == [f"global_step_{step}" for step in left]
    assert faults(tmp_path / "global_step_2", NEEDS) == []


def test_torchs_own_error_of_a_full_disk_is_known(tmp_path):
    """/dev/full has no room for anybody; torch's writer does not say so in the system's words."""
    (tmp_path / "data.pt").symlink_to("/dev/full")
    with pytest.raises(RuntimeError) as raised:
        torch.save(torch.zeros(1_000_000), tmp_path / "data.pt")
    assert any(word in str(raised.value) for word in TORCH_WRITER)


def test_the_first_checkpoint_is_estimated_by_the_model(tmp_path):
    """1,000 parameters of bfloat16, kept in fp32 with AdamW's two moments: 12 bytes each."""
    model, run = tmp_path / "model", tmp_path / "run"
    model.mkdir()
    (model / "config.json").write_text('{"dtype": "bfloat16"}')
    save_file({"weight": torch.zeros(1000, dtype=torch.bfloat16)}, model / "model.safetensors")
    header = (model / "model.safetensors").stat().st_size - 2000
    assert disk_space.expected_bytes(run, run_config(run), NEEDS) == (2000 + header) // 2 * 12
    lora = run_config(run, actor_rollout_ref__model__lora_rank=8)
    assert disk_space.expected_bytes(run, lora, NEEDS) is None


def test_the_first_checkpoint_of_a_model_of_the_hub_is_estimated_by_its_config(tmp_path, cached_model):
    """12 bytes for each of the 494,032,768 parameters of Qwen2.5-0.5B, and of the 356,064 of the testbed's model."""
    run, config = tmp_path / "run", tmp_path / "hub/models--owner--model/snapshots/1/config.json"

    def expected(path, **changes):
        return disk_space.expected_bytes(run, run_config(run, actor_rollout_ref__model__path=path, **changes), NEEDS)

    assert expected("Qwen/Qwen2.5-0.5B") == 5_928_393_216
    assert expected("Qwen/Qwen2.5-0.5B", algorithm__adv_estimator="gae") == 11_856_786_432
    assert expected("owner/model") is None  # its config names no kind of model
    config.write_text((ROOT / "recipes/cpu/tiny_model/config.json").read_text())
    assert expected("owner/model") == 4_272_768
    assert expected("owner/other") is None


def test_a_folder_whose_weights_are_no_safetensors_is_estimated_by_its_config(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text((ROOT / "recipes/cpu/tiny_model/config.json").read_text())
    run = tmp_path / "run"
    assert disk_space.expected_bytes(run, run_config(run), NEEDS) == 4_272_768
