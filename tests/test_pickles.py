"""Files of torch.save from anybody: tensors and plain values are read, and nothing else."""

import io
import os
import pickle
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from packaging.version import Version
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Replicate, Shard

from tests.launches import ROOT, environment
from tests.refusals import refused
from verl_dots.pickles import SHARDS, entries_of, load, require_harmless, require_harmless_queue


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


@pytest.mark.parametrize(
    "name",
    [
        # Opens any file and reads it by marshal; closes any descriptor; both by an alias of a room of torch's.
        "torch.distributed._shard.checkpoint.utils Stats",
        "torch.distributed._shard.checkpoint._experimental.checkpoint_process Connection",
        # What others have imported beside the classes of shards.
        "torch.distributed.tensor.parallel.style partial",
        "torch.distributed.tensor.debug._op_coverage itemgetter",
        "torch.distributed._shard.checkpoint.staging ThreadPoolExecutor",
        "torch.distributed.tensor.experimental._tp_transform GraphModule",
        "torch.distributed._shard.checkpoint.filesystem Path",
        # Classes of these rooms that no shard of verl has.
        "torch.distributed._shard.sharded_tensor.api ShardedTensor",
        "torch.distributed.tensor.parallel.style ColwiseParallel",
        "torch.distributed.tensor.no_such_room Shard",
    ],
)
def test_a_class_is_known_by_its_whole_name_whatever_module_has_imported_it(tmp_path, name):
    file = saved(tmp_path, None)
    replace_pickle(file, b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\n(X\x01\x00\x00\x00atR.")
    for read in (require_harmless, load):
        with refused(str(file), "excluded", name.replace(" ", ".")):
            read(file)


def test_every_class_that_may_be_named_is_there_and_is_its_own():
    """Of the torch that is installed; a class is defined where its name says, so that no alias is among them."""
    newer = {"torch.distributed._mesh_layout._FlatLayout"} if Version(torch.__version__) < Version("2.12") else set()
    for name in SHARDS - newer:
        found = pickle.Unpickler(io.BytesIO()).find_class(*name.rsplit(".", 1))
        assert isinstance(found, type) and f"{found.__module__}.{found.__qualname__}" == name


def test_shards_are_looked_at_without_the_modules_that_they_name(tmp_path, mesh):
    """These take seconds to import, and the check comes before each start."""
    file = saved(tmp_path, DTensor.from_local(torch.zeros(2), mesh, [Shard(0)]))
    program = (
        "import sys\nfrom pathlib import Path\nfrom verl_dots.pickles import require_harmless\n"
        f"require_harmless(Path({str(file)!r}))\nassert 'torch.distributed.tensor' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment(), timeout=120)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_no_protocol_of_pickle_gets_by(tmp_path, protocol):
    file = saved(tmp_path, Calls(os.system, "true"), pickle_protocol=protocol)
    with refused(str(file)):
        require_harmless(file)


def queue_with(folder, value):
    """The file of the rows of a queue, in a folder as the TransferQueue saves it."""
    rows = {"responses": {0: torch.tensor([1, 2]), 1: torch.zeros(2, 3)[1:]}, "raw_prompt": {0: [{"role": "user"}]}}
    content = {"field_data": rows, "active_keys": {0, 1}, "dtype": torch.int64, "size": torch.Size([2]), "more": value}
    (folder / "simple_storage").mkdir()
    file = folder / "simple_storage" / "su_0_TQ_STORAGE_1.pkl"
    file.write_bytes(pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
    (folder / "simple_storage" / "storage_unit_info.json").write_text("[]")
    (folder / "metadata.json").write_text("{}")
    return file


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


def harmful(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(Calls(eval, "1")))


def test_a_folder_of_a_queue_that_is_a_link_is_looked_into(tmp_path):
    queue_with(tmp_path, None).parent.rename(tmp_path / "elsewhere")
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "simple_storage").symlink_to("../elsewhere")
    require_harmless_queue(tmp_path / "queue")
    harmful(tmp_path / "elsewhere" / "su_1_x.pkl")
    with refused(str(tmp_path / "queue/simple_storage/su_1_x.pkl"), "excluded", "builtins.eval"):
        require_harmless_queue(tmp_path / "queue")


@pytest.mark.parametrize("name", ["simple_storage/su_0_x", "simple_storage/su_0_x.pkl.blobs", "more"])
@pytest.mark.parametrize("kind", ["folder", "link", "link to nothing"])
def test_a_queue_has_no_folder_by_which_a_name_leads_to_another_file(tmp_path, name, kind):
    """Where su_0_x is there, the TransferQueue opens simple_storage/su_0_ID.pkl for an ID x/../../../actor/other."""
    (tmp_path / "queue").mkdir()
    queue_with(tmp_path / "queue", None)
    place = tmp_path / "queue" / name
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(tmp_path if kind == "link" else tmp_path / "nothing")
    with refused(str(place), "excluded", "simple_storage"):
        require_harmless_queue(tmp_path / "queue")


@pytest.mark.parametrize("name", ["simple_storage/a.json", "storage_unit_info.json", "controller_state.pkl", ".hidden"])
def test_no_name_keeps_a_file_of_a_queue_from_being_looked_at(tmp_path, name):
    queue_with(tmp_path, None)
    harmful(tmp_path / name)
    with refused(str(tmp_path / name), "excluded", "builtins.eval"):
        require_harmless_queue(tmp_path)


def test_what_is_in_a_folder(tmp_path):
    for name in ("b", "a", ".c"):
        (tmp_path / name).touch()
    assert [entry.name for entry in entries_of(tmp_path)] == [".c", "a", "b"]
    assert entries_of(tmp_path / "none") == entries_of(tmp_path / "a") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_refused(tmp_path):
    queue_with(tmp_path, [Calls(eval, "1")]).parent.chmod(0o311)
    with refused(str(tmp_path / "simple_storage"), "file"):
        require_harmless_queue(tmp_path)
    (tmp_path / "simple_storage").chmod(0o755)


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
