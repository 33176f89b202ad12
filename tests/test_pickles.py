"""Files of torch.save from anybody: tensors and plain values are read, and nothing else."""

import os
import pickle
import random
import zipfile

import numpy as np
import pytest
import torch
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard

from tests.refusals import refused
from verl_dots.pickles import load, require_harmless, require_harmless_queue


class Calls:
    """Anything that a pickle may call when it is read."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


def saved(folder, content, **how):
    torch.save(content, folder / "file.pt", **how)
    return folder / "file.pt"


def replace_pickle(file, pickled):
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, pickled if name.endswith("data.pkl") else part)


@pytest.fixture
def mesh():
    """Of this process alone."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield DeviceMesh("cpu", [0])
    torch.distributed.destroy_process_group()


def test_shards_are_read(tmp_path, mesh):
    whole = torch.arange(4.0)
    shards = {name: DTensor.from_local(whole, mesh, [kind]) for name, kind in (("a", Shard(0)), ("b", Replicate()))}
    found = load(saved(tmp_path, {"state": shards, "step": 3, "lr": [0.1]}))
    assert found["step"] == 3 and found["lr"] == [0.1]
    assert all(torch.equal(found["state"][name].to_local(), whole) for name in "ab")


def test_what_else_verl_saves_is_harmless(tmp_path):
    """The states of random numbers and of the data loader."""
    rng = {"cpu": torch.get_rng_state(), "numpy": np.random.get_state(), "random": random.getstate()}
    require_harmless(saved(tmp_path, {"rng": rng, "lr_scheduler": {"base_lrs": [1e-4], "last_epoch": 2}}))
    require_harmless(saved(tmp_path, {"_iterator_finished": False, "seen": 3, "text": "a", "large": 2**70}))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (Calls(os.system, "true"), "posix.system"),
        (Calls(eval, "1"), "eval"),
        (Calls(np.memmap, "/tmp/x"), "numpy.memmap"),
        (Calls(torch.load, "/tmp/x"), "torch.serialization.load"),
        (Calls(torch.hub.load, "a", "b"), "torch.hub.load"),
    ],
)
def test_a_file_that_would_call_something_is_refused_and_not_read(tmp_path, call, told):
    file = saved(tmp_path, {"model": torch.zeros(2), "more": [call]})
    with refused(str(file), "excluded", told):
        require_harmless(file)
    with refused(str(file), "excluded", told):
        load(file)


def test_a_way_through_the_imports_of_an_allowed_module_is_none(tmp_path):
    """Both begin with a name that is allowed."""
    for name in (b"ctorch.distributed.tensor._api\nwarnings.warn\n", b"ctorch.distributed.tensor\ndistribute_tensor\n"):
        file = saved(tmp_path, None)
        replace_pickle(file, b"\x80\x02" + name + b".")
        with refused(str(file), "excluded", "torch.distributed.tensor"):
            require_harmless(file)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_no_protocol_of_pickle_gets_by(tmp_path, protocol):
    file = saved(tmp_path, Calls(os.system, "true"), pickle_protocol=protocol)
    with refused(str(file)):
        require_harmless(file)


def queue_with(folder, value):
    """A folder with the rows of a queue as the TransferQueue saves them."""
    rows = {"responses": {0: torch.tensor([1, 2]), 1: torch.zeros(2, 3)[1:]}, "raw_prompt": {0: [{"role": "user"}]}}
    content = {"field_data": rows, "active_keys": {0, 1}, "dtype": torch.int64, "size": torch.Size([2]), "more": value}
    (folder / "units").mkdir()
    (folder / "units" / "unit.pkl").write_bytes(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
    (folder / "metadata.json").write_text("{}")
    return folder / "units" / "unit.pkl"


def test_a_queue_of_rows_is_harmless(tmp_path):
    queue_with(tmp_path, np.array(["a", {"b": 1}], dtype=object))
    require_harmless_queue(tmp_path)
    require_harmless_queue(tmp_path / "none")  # a synchronous run saves none


@pytest.mark.parametrize(
    ("call", "reason", "told"),
    [
        (Calls(os.system, "touch called"), "excluded", "posix.system"),
        (Calls(eval, "1"), "excluded", "builtins.eval"),
        # A file within the file, as of every tensor.
        (Calls(torch.storage._load_from_bytes, pickle.dumps(Calls(os.system, "touch called"))), "damaged", ""),
    ],
)
def test_a_queue_that_would_call_something_is_refused_and_nothing_is_called(tmp_path, monkeypatch, call, reason, told):
    monkeypatch.chdir(tmp_path)
    with refused(str(queue_with(tmp_path, [call])), reason, told):
        require_harmless_queue(tmp_path)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("how", ["old", "cut", "text"])
def test_what_is_no_archive_is_damaged(tmp_path, how):
    file = saved(tmp_path, {"a": torch.zeros(2)}, _use_new_zipfile_serialization=how != "old")
    if how != "old":
        file.write_bytes(file.read_bytes()[:100] if how == "cut" else b"no archive")
    with refused(str(file), "damaged"):
        require_harmless(file)


def test_the_state_of_random_numbers_is_read_with_its_array(tmp_path):
    torch.save(
        {"numpy": np.random.RandomState(1).get_state(), "many": np.arange(3, dtype=np.float16)}, tmp_path / "a.pt"
    )
    name, keys, *_ = load(tmp_path / "a.pt")["numpy"]
    assert name == "MT19937" and keys.dtype == np.uint32 and keys.shape == (624,)
