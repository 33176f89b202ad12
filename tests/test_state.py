import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.state import load_state, require_equal, require_keys, save_state

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
