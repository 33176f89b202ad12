"""The list of a checkpoint's files: written last, read strictly, of this version or the one before."""

import hashlib
import json

import pytest

from verl_dots import manifest
from verl_dots.manifest import MANIFEST, Listed, ManifestError, changed, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of two files."""
    (tmp_path / "actor").mkdir()
    (tmp_path / "data.pt").write_bytes(b"place")
    (tmp_path / "actor" / "model.pt").write_bytes(b"weights")
    return tmp_path


def test_every_file_is_listed_with_its_bytes_and_its_checksum(folder):
    write_manifest(folder, 4)
    weights = hashlib.sha256(b"weights").hexdigest()
    assert json.loads((folder / MANIFEST).read_text()) == {
        "version": 2,
        "step": 4,
        "files": {
            "actor/model.pt": {"bytes": 7, "sha256": weights},
            "data.pt": {"bytes": 5, "sha256": hashlib.sha256(b"place").hexdigest()},
        },
    }
    listed = read_manifest(folder)
    assert listed["actor/model.pt"] == Listed(7, weights) and changed(folder, listed, checksums=True) == []


def test_what_has_changed_is_named(folder):
    write_manifest(folder, 4)
    listed = read_manifest(folder)
    (folder / "data.pt").write_bytes(b"places")
    (folder / "actor" / "model.pt").write_bytes(b"WEIGHTS")
    (folder / "later").write_bytes(b"of an evaluation")
    assert changed(folder, listed, checksums=False) == ["data.pt has 6 of 5 bytes"]
    told = "actor/model.pt has changed since it was saved (checksum)"
    assert changed(folder, listed, checksums=True) == ["data.pt has 6 of 5 bytes", told]
    (folder / "data.pt").unlink()
    assert changed(folder, listed, checksums=True) == ["data.pt is missing", told]


def test_a_list_of_version_1_tells_sizes_alone(folder):
    (folder / MANIFEST).write_text(json.dumps({"step": 4, "files": {"data.pt": 5, "actor/model.pt": 7}}))
    listed = read_manifest(folder)
    assert listed == {"data.pt": Listed(5), "actor/model.pt": Listed(7)}
    (folder / "data.pt").write_bytes(b"PLACE")
    assert changed(folder, listed, checksums=True) == []
    (folder / "data.pt").write_bytes(b"PLACES")
    assert changed(folder, listed, checksums=True) == ["data.pt has 6 of 5 bytes"]


def test_a_folder_without_a_list_has_none(folder):
    assert read_manifest(folder) is None


@pytest.mark.parametrize(
    "content",
    [
        "", "\0" * 9, "null", "[]", "3", "{}", '{"files": 3}', '{"files": []}', '{"files": {"data.pt": "5"}}',
        '{"files": {"data.pt": null}}', '{"version": 2, "files": {"data.pt": 5}}', '{"version": 0, "files": {}}',
        '{"version": 2, "files": {"data.pt": {"bytes": 5}}}', '{"version": "2", "files": {}}',
        '{"version": 2, "files": {"data.pt": {"bytes": true, "sha256": ""}}}', '{"version": [2], "files": {}}',
        '{"version": true, "files": {"data.pt": 5}}', '{"version": 2.0, "files": {}}', '{"version": null, "files": {}}',
        '{"files": {"data.pt": -5}}', '{"version": 2, "files": {"data.pt": {"bytes": -5, "sha256": ""}}}',
        *(f'{{"files": {{"{name}": 5}}}}' for name in ("", "/etc/passwd", "..", "../data.pt", "actor/../../data.pt")),
        '{"version": 2, "files": {}}', '{"version": 2, "stfp": 4, "files": {}}',
        *(f'{{"step": {step}, "files": {{}}}}' for step in ('"4"', "true", "4.0", "-4", "[4]", "{}")),
        "[" * 100_000, '{"files": {"data.pt": ' + "5" * 5000 + "}}",
    ],
    ids=lambda content: content[:70],
)  # fmt: skip
def test_a_list_that_we_never_write_is_damaged(folder, content):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ManifestError, match=f"{MANIFEST} is damaged"):
        read_manifest(folder)


def test_a_name_that_no_file_has_is_of_none_that_is_there(folder):
    names = ("a\0b", "x" * 300)
    (folder / MANIFEST).write_text(json.dumps({"files": dict.fromkeys(names, 5)}))
    assert changed(folder, read_manifest(folder), checksums=True) == [f"{name} is missing" for name in names]


@pytest.mark.parametrize("content", [{"version": 2, "step": 4, "files": {}}, {"step": 4, "files": {}}])
def test_a_list_of_another_step_than_its_folder_is_refused(tmp_path, content):
    for name in ("global_step_4", "global_step_5", "global_step_04", "copied"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ManifestError, match="is of step 4, not of step 5"):
        read_manifest(tmp_path / "global_step_5")
    # Whose name tells no step is judged by the rest, and so is a list that tells none.
    assert [read_manifest(tmp_path / name) for name in ("global_step_4", "global_step_04", "copied")] == [{}] * 3
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "global_step_4").symlink_to(tmp_path / "copied")
    assert read_manifest(tmp_path / "linked" / "global_step_4") == {}
    (tmp_path / "global_step_5" / MANIFEST).write_text(json.dumps(content | {"step": None}))
    assert read_manifest(tmp_path / "global_step_5") == {}


def test_a_list_of_a_later_version_is_refused_by_its_version(folder):
    (folder / MANIFEST).write_text(json.dumps({"version": manifest.VERSION + 1, "files": 3}))
    with pytest.raises(ManifestError, match=r"is of version 3, and this verl_dots reads up to 2: resume with a later"):
        read_manifest(folder)
