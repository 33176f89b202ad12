"""States on disk: whole, of their kind and version, and what somebody else has written is refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.data_files import BITS, tensor_of
from tests.refusals import refused
from verl_dots.checkpoints import state_faults
from verl_dots.methods.selection.migrations import to_version_2
from verl_dots.state import HEADER, Kind, _checksum, load_state, require_equal, require_keys, save_state

STATE = {
    "step": 3,
    "rate": 0.1,
    "name": None,
    "on": True,
    "queue": [np.arange(3), np.empty((0, 2), dtype=np.float32)],
    "inner": {"rows": np.array([[1.5, -2.5]]), "texts": ["a", "b"]},
}


def test_everything_comes_back_as_it_was(tmp_path):
    save_state(tmp_path / "state", "test", STATE)
    found = load_state(tmp_path / "state", "test")
    np.testing.assert_equal(found, STATE)
    assert [array.dtype for array in (*found["queue"], found["inner"]["rows"])] == [np.int64, np.float32, np.float64]


@pytest.mark.parametrize(
    "array",
    [
        np.array(5), np.array(True), np.empty((2, 0, 3)), np.arange(6).reshape(2, 3).T, np.arange(6)[::-2],
        np.broadcast_to(np.float32(1.5), (2, 3)), np.arange(3, dtype=">i8"), np.zeros(2, np.float16),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)  # fmt: skip
def test_an_array_keeps_its_shape_and_type_however_it_lies_in_memory(tmp_path, array):
    save_state(tmp_path / "state", "test", {"a": array})
    found = load_state(tmp_path / "state", "test")["a"]
    assert (found.shape, found.dtype) == (array.shape, array.dtype.newbyteorder("="))
    assert found.tolist() == array.tolist()


def test_a_restored_generator_goes_on_the_same(tmp_path):
    generator = np.random.default_rng(7)
    generator.random(5)
    save_state(tmp_path / "state", "rng", {"rng": generator.bit_generator.state})
    other = np.random.default_rng(0)
    other.bit_generator.state = load_state(tmp_path / "state", "rng")["rng"]
    assert other.random(4).tolist() == generator.random(4).tolist()


@pytest.mark.parametrize("place", [-1, 200, None])
def test_a_flipped_bit_and_a_truncated_file_are_noticed(tmp_path, place):
    path = tmp_path / "state"
    save_state(path, "test", STATE)
    content = bytearray(path.read_bytes())
    if place is None:
        content = content[:-4]
    else:
        content[place] ^= 1
    path.write_bytes(content)
    with refused(str(path), "damaged"):
        load_state(path, "test")


def test_a_file_of_another_kind_or_none_at_all(tmp_path):
    save_state(tmp_path / "state", "replay", {})
    with refused(str(tmp_path / "state"), "other run", "'replay'", "'selection'"):
        load_state(tmp_path / "state", "selection")
    with refused(str(tmp_path / "nowhere"), "file"):
        load_state(tmp_path / "nowhere", "selection")


@pytest.mark.parametrize("bad", [{"a": object()}, {"a/b": 1}, {1: 2}, {"a": [{"b": {1, 2}}]}])
def test_a_failed_write_leaves_the_old_file(tmp_path, bad):
    path = tmp_path / "state"
    save_state(path, "test", {"step": 1})
    with pytest.raises(TypeError):
        save_state(path, "test", bad)
    assert load_state(path, "test") == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_differences_name_both_sides():
    require_equal("seed", 1, 1)
    with refused("seed", "other run", "has 1", "has 2"):
        require_equal("seed", 1, 2)
    require_keys("buffer", {"a": 1}, {"a"})
    with refused("buffer", "other run", "['a']", "['b']"):
        require_keys("buffer", {"b": 1}, {"a"})


def handmade(path, header):
    """A file of the right form whose header somebody has written; None for none at all."""
    metadata = None if header is None else {HEADER: header if isinstance(header, str) else json.dumps(header)}
    save_file({"/a": np.arange(3)}, path, metadata=metadata)
    return path


def described(plain, **more):
    """A header with the right checksum of a state that is described so."""
    checksum = _checksum(plain, {"/a": np.arange(3)})
    return {"format": 1, "kind": "test", "version": 1, "state": plain, "checksum": checksum} | more


ARRAY = {"dict": {"a": {"array": "/a"}}}


@pytest.mark.parametrize("dtype", BITS)
def test_a_type_that_numpy_does_not_know_is_refused_as_a_damaged_file(tmp_path, dtype):
    path = tmp_path / "test.safetensors"
    path.write_bytes(tensor_of("/a", dtype, 16, {HEADER: json.dumps(described(ARRAY))}))
    with refused(str(path), "damaged", "resume from an earlier checkpoint"):
        load_state(path, "test")
    (told,) = state_faults(tmp_path, [Kind("test")])
    assert "is damaged" in told


@pytest.mark.parametrize(
    "migration",
    [
        lambda state: {"half": state["rate"] / 2},
        lambda state: {"half": state["a"]["rate"] / 2},
        lambda state: {"rows": [row + 1 for row in state["step"]]},
        lambda state: {"rows": state["a"].rows},
        lambda state: {"share": 1 / (state["step"] - 3)},
    ],
)
def test_a_state_that_its_migration_cannot_read_is_refused_as_a_damaged_file(tmp_path, migration):
    path = tmp_path / "test.safetensors"
    save_state(path, "test", {"a": np.arange(3), "step": 3})
    kind = Kind("test", 2, {1: migration})
    with refused(str(path), "damaged", "version 1", "resume from an earlier checkpoint"):
        load_state(path, kind)
    assert len(state_faults(tmp_path, [kind])) == 1


@pytest.mark.parametrize(
    "state",
    [{}, {"state": 3}, {"state": {"curriculum": {"trust": {}}}}, {"state": {"curriculum": [], "predictor": {}}}],
)
def test_a_state_of_selection_that_lacks_its_keys_is_damaged(tmp_path, state):
    save_state(tmp_path / "state", "selection", state)
    with refused(str(tmp_path / "state"), "damaged"):
        load_state(tmp_path / "state", Kind("selection", 2, {1: to_version_2}))


def test_no_message_is_longer_than_what_it_is_about(tmp_path):
    path = handmade(tmp_path / "state", described(ARRAY, kind="x" * 100_000))
    with refused(str(path), "other run", "'xxx") as caught:
        load_state(path, "test")
    assert len(str(caught.value)) < 1000
    long = {"dict": {"a": {"array": "y" * 100_000}}}
    with refused(str(handmade(path, described(long))), "damaged") as caught:
        load_state(path, "test")
    assert len(str(caught.value)) < 1000
    with refused("seed", "other run", "this run has 1") as caught:
        require_equal("seed", "x" * 100_000, 1)
    assert len(str(caught.value)) < 1000


def test_what_is_described_by_hand_as_we_do_it_is_read(tmp_path):
    assert load_state(handmade(tmp_path / "state", described(ARRAY)), "test")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "header",
    [
        None, "", "{", "[" * 100_000, "9" * 5000, [], None, "null", "[]", '"text"', "3", {},
        {key: value for key, value in described(ARRAY).items() if key != "state"},
        *({**described(ARRAY), key: None} for key in ("format", "kind", "state", "checksum", "version")),
        *({**described(ARRAY), "version": version} for version in (0, -1, "1", 1.0, True, [1])),
        described([]), described(None), described({"list": []}), described({}), described({"dict": {}, "list": []}),
        described({"dict": []}), described({"dict": {"a": {"array": "/b"}}}), described({"dict": {"a": {"array": []}}}),
        described({"dict": {"a": {}}}), described({"dict": {"a": [1]}}), described({"dict": {"a": {"set": 1}}}),
        described({"dict": {"a": {"list": None}}}), described(ARRAY, checksum="0" * 64),
    ],
    ids=lambda header: json.dumps(header)[:60],
)  # fmt: skip
def test_a_header_that_we_never_write_is_refused_as_a_damaged_file(tmp_path, header):
    path = handmade(tmp_path / "state", header)
    with refused(str(path), "damaged"):
        load_state(path, "test")


@pytest.mark.parametrize("depth", range(100, 1200, 100))
def test_a_header_that_is_too_deep_is_refused_wherever_that_is_noticed(tmp_path, depth):
    """Reading its JSON, its checksum and its arrays each take some of the stack."""
    state = '{"dict":{"a":' * depth + '{"dict":{}}' + "}}" * depth
    header = json.dumps(described({})).replace('"state": {}', f'"state": {state}')
    path = handmade(tmp_path / "state", header)
    with refused(str(path), "damaged"):
        load_state(path, "test")


def test_a_state_of_an_earlier_version_is_brought_to_this_one_step_by_step(tmp_path):
    path = tmp_path / "state"
    save_state(path, "test", {"rate": 2})  # version 1
    halved = {1: lambda state: {"half": state["rate"] / 2}, 2: lambda state: {"halves": [state["half"]] * 2}}
    assert load_state(path, Kind("test", 3, halved)) == {"halves": [1.0, 1.0]}
    with refused(str(path), "other run", "version 1", "version 3", "version 2"):
        load_state(path, Kind("test", 3, {1: halved[1]}))
    save_state(path, Kind("test", 3), {"halves": [1.0]})
    assert load_state(path, Kind("test", 3)) == {"halves": [1.0]}
    with refused(str(path), "other run", "version 3", "version 2", "a later one"):
        load_state(path, Kind("test", 2, halved))


def test_a_file_from_before_versions_is_of_the_first(tmp_path):
    header = {key: value for key, value in described(ARRAY).items() if key != "version"}
    path = handmade(tmp_path / "state", header)
    assert load_state(path, "test")["a"].tolist() == [0, 1, 2]
    assert load_state(path, Kind("test", 2, {1: lambda state: {"b": 1}})) == {"b": 1}


@pytest.mark.parametrize("state", [None, [], "text", 3])
def test_a_state_that_is_no_dict_lacks_its_keys(state):
    with refused("buffer", "other run", "['a']"):
        require_keys("buffer", state, {"a"})
