"""A checkpoint of which any one file is damaged, in any way: the one before is resumed from, and the file is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.refusals import refused
from tests.run_on_disk import own_checkpoint, run_config
from verl_dots.manifest import MANIFEST, files_below, write_manifest
from verl_dots.state import save_state
from verl_dots.training.in_flight import FILE, KIND, InFlight
from verl_dots.training.resume import find_checkpoint

# Wherever the run lies.
SETTINGS = {
    "dots__replay__enable": True, "data__train_files": "/nowhere/train.parquet",
    "actor_rollout_ref__model__path": "/nowhere/model", "trainer__v1__trainer_mode": "colocate_async",
}  # fmt: skip
FILES = (
    "actor/extra_state_world_size_1_rank_0.pt",
    "actor/fsdp_config.json",
    "actor/huggingface/config.json",
    "actor/model_world_size_1_rank_0.pt",
    "actor/optim_world_size_1_rank_0.pt",
    "complete.json",
    "config.yaml",
    "data.pt",
    "in_flight.safetensors",
    "replay.safetensors",
    "run.state",
    "transfer_queue/metadata.json",
)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A run with replay and two whole checkpoints, of steps 2 and 4."""
    run = tmp_path_factory.mktemp("original") / "run"
    run.mkdir()
    for step in (2, 4):
        folder = own_checkpoint(run, step, run_config(run, **SETTINGS), states=("replay",))
        (folder / "transfer_queue").mkdir()
        (folder / "transfer_queue" / "metadata.json").write_text("{}")
        save_state(folder / FILE, KIND, InFlight().state_dict())
        write_manifest(folder, step)
    return run


@pytest.fixture
def run(original, tmp_path):
    """A copy that can be damaged."""
    shutil.copytree(original, tmp_path / "run")
    return tmp_path / "run"


def found(run: Path) -> str:
    return find_checkpoint(run_config(run, **SETTINGS)).name


def named(name: str) -> str:
    """How the message begins: of a list that can be read, and says something else, it names what it says it of."""
    return "" if name == MANIFEST else name


def cut(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def extend(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


def dangling_link(file: Path) -> None:
    file.unlink()
    file.symlink_to("nowhere")


def link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def flip(place: float) -> Callable[[Path], None]:
    """One bit of the byte at this share of the file."""

    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        number = round(place * (len(content) - 1))
        content[number] ^= 1 << number % 7
        file.write_bytes(content)

    damage.__name__ = f"flip_at_{place}"
    return damage


DAMAGES = (
    *(flip(place) for place in (0, 0.25, 0.5, 0.75, 1)),
    cut,
    empty,
    extend,
    folder_instead,
    dangling_link,
    link_to_itself,
    Path.unlink,
)


def test_these_are_all_files_of_a_checkpoint(original):
    folder = original / "global_step_4"
    assert sorted(str(file.relative_to(folder)) for file in files_below(folder)) == list(FILES)
    assert found(original) == "global_step_4"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_the_checkpoint_before_is_taken(run, name, damage, caplog):
    damage(run / "global_step_4" / name)
    assert found(run) == "global_step_2"
    assert f"left out: global_step_4 ({named(name)}" in caplog.text


@pytest.mark.parametrize("name", FILES)
def test_where_no_other_is_there_the_file_is_named_in_the_refusal(run, name):
    shutil.rmtree(run / "global_step_2")
    flip(0.5)(run / "global_step_4" / name)
    with refused(str(run), "file", f"global_step_4 ({named(name)}"):
        found(run)


@pytest.mark.parametrize("name", ["config.yaml", MANIFEST])
def test_wherever_a_bit_of_the_text_is_flipped(run, name, caplog):
    """The text may still be read, and say something else: of settings, an unknown one."""
    file = run / "global_step_4" / name
    whole = file.read_bytes()
    # The list's last byte ends a line. All else is read, and each byte of its step.
    step = range(*(whole.index(part) for part in (b'"step"', b'"files"'))) if name == MANIFEST else ()
    for place in {*range(0, len(whole) - 1, 5), *step}:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :])
        caplog.clear()
        assert (place, found(run)) == (place, "global_step_2")
        assert f"left out: global_step_4 ({named(name)}" in caplog.text
