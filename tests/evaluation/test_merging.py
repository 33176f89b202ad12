"""Sharded checkpoints become the model that was sharded, bit for bit."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tests.evaluation.shards import save_checkpoint
from tests.refusals import refused

pytestmark = pytest.mark.usefixtures("cpu_environment")


@pytest.fixture
def merged():
    """Imported once the environment is that of a CPU: it imports verl."""
    from verl_dots.evaluation import merging

    return merging.merged


@pytest.fixture
def actor(random_model, tmp_path):
    return save_checkpoint(tmp_path / "global_step_3", random_model, world_size=3)


def test_three_shards_are_the_model_again(random_model, actor, merged):
    folder = merged(actor, "float32")
    assert folder == actor / "merged-float32"
    there, here = load_file(random_model / "model.safetensors"), load_file(folder / "model.safetensors")
    assert there.keys() == here.keys()
    # 264 rows of the vocabulary and 96 of the width on three ranks: 88 and 32 each.
    assert all(torch.equal(there[name], here[name]) for name in there)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"
    assert AutoModelForCausalLM.from_pretrained(folder).dtype == torch.float32
    for name in ("tokenizer.json", "chat_template.jinja"):
        assert (folder / name).read_text() == (random_model / name).read_text()


def test_bfloat16_is_rounded_once(random_model, actor, merged):
    here = load_file(merged(actor, "bfloat16") / "model.safetensors")
    there = load_file(random_model / "model.safetensors")
    assert all(torch.equal(there[name].bfloat16(), here[name]) for name in there)


def test_merged_once_and_again_after_the_shards_have_changed(actor, merged):
    folder = merged(actor, "float32")
    made = (folder / "model.safetensors").stat().st_ino
    assert (merged(actor, "float32") / "model.safetensors").stat().st_ino == made
    rank = actor / "model_world_size_3_rank_0.pt"
    shard = torch.load(rank, weights_only=False)
    name = "model.norm.weight"
    shard[name].to_local().fill_(7.0)
    torch.save(shard, rank)
    weight = load_file(merged(actor, "float32") / "model.safetensors")[name]
    assert weight[:32].tolist() == [7.0] * 32
    assert not (weight[32:] == 7.0).any()
    assert sorted(entry.name for entry in actor.iterdir() if "merged" in entry.name) == ["merged-float32"]


def test_an_interrupted_merge_is_begun_anew(actor, merged):
    # What a machine that lost power could leave at most: a folder without the record of its source.
    (actor / "merged-float32").mkdir()
    save_file({"half": torch.zeros(1)}, actor / "merged-float32" / "model.safetensors")
    assert "half" not in load_file(merged(actor, "float32") / "model.safetensors")


@pytest.mark.parametrize("content", [b"", b"no shard", None])
def test_a_damaged_or_missing_shard_is_named(actor, merged, content):
    file = actor / "model_world_size_3_rank_1.pt"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with refused(str(file), "damaged"):
        merged(actor, "float32")
    assert not [entry.name for entry in actor.iterdir() if "merged" in entry.name]


def test_an_adapter_is_refused(actor, merged):
    file = actor / "model_world_size_3_rank_0.pt"
    shard = torch.load(file, weights_only=False)
    torch.save({**shard, "base_model.model.q_proj.lora_A.default.weight": torch.zeros(2, 2)}, file)
    with refused(str(actor), "file", "LoRA"):
        merged(actor, "float32")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_explained(actor, merged):
    actor.chmod(0o555)
    with refused(str(actor), "file", "--local_dir"):
        merged(actor, "float32")
    actor.chmod(0o755)


def test_a_folder_that_is_not_of_the_merger_stays(actor, merged):
    mine = actor / "merged-float32"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    with refused(str(mine), "excluded"):
        merged(actor, "float32")
    assert (mine / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", [[1], 3, None, {}, {"a": 3}, torch.ones(2)])
def test_a_shard_of_something_else_is_refused(actor, merged, content):
    torch.save(content, actor / "model_world_size_3_rank_1.pt")
    with refused(str(actor), "file"):
        merged(actor, "float32")


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '{"architectures": 3}'])
def test_a_model_config_of_something_else_is_refused(actor, merged, text):
    (actor / "huggingface" / "config.json").write_text(text)
    with refused(str(actor), "file"):
        merged(actor, "float32")
    assert not list(actor.glob("*merged*"))
