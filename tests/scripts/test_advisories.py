"""Advisories of the packages that the code uses."""

import pytest
import yaml

from scripts.advisories import concerns, holds_in, told_of

TWO_RANGES = [{"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"last_affected": "2.4"}]


@pytest.mark.parametrize(
    ("version", "held"),
    [("1.0", True), ("1.2", False), ("1.10", False), ("2.0", True), ("2.4", True), ("2.4.1", False), ("10.0", False)],
)
def test_a_version_lies_in_a_range_from_where_it_came_in_to_before_it_was_mended(version, held):
    assert holds_in(TWO_RANGES, version) == held


def test_an_advisory_without_an_end_holds_for_what_comes_later():
    assert holds_in([{"introduced": "0"}], "99.1")
    assert not holds_in([{"introduced": "3.0"}], "2.9")


def test_an_advisory_holds_by_its_named_versions_by_its_range_or_by_naming_none():
    named = {"affected": [{"versions": ["2.13.0"], "ranges": []}]}
    assert concerns(named, "2.13.0+cpu") and not concerns(named, "2.14.0")
    by_commit_alone = {"affected": [{"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}]}
    assert concerns(by_commit_alone, "1.0")


def test_what_is_told_counts_those_that_stand_and_names_those_that_hold(tmp_path):
    of_ours = tmp_path / "vulns" / "ours"
    of_ours.mkdir(parents=True)
    for name, fixed, more in (("A-1", "2.0", {}), ("A-2", "3.0", {}), ("A-3", "9.0", {"withdrawn": "2024-01-01"})):
        affected = [{"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]
        advisory = {"id": name, "affected": affected, "modified": "2024-05-06T07:08:09.1Z", **more}
        (of_ours / f"{name}.yaml").write_text(yaml.safe_dump(advisory))
    head = "The PyPA advisory database, last changed on 2024-05-06, has 2 advisories of these packages. "
    assert told_of(tmp_path, {"ours": "2.5", "other": "1.0"}) == (
        head + "These hold for a version of the table: A-2 (ours 2.5)."
    )
    assert told_of(tmp_path, {"ours": "3.0"}) == head + "None holds for a version of the table."


def test_a_folder_that_is_no_clone_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="has no folder vulns; give a clone"):
        told_of(tmp_path, {"ours": "1.0"})
