"""Known advisories of a package, in a folder of the PyPA's advisory database (github.com/pypa/advisory-database)."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from packaging.version import Version

ANY = "0"  # in the database: from the first version on


def read_advisories(folder: Path, package: str) -> list[dict]:
    """Those of one package that are not withdrawn, by their names. [] where none is known.

    Raises:
        SystemExit: the folder is no copy of the database.
    """
    if not (folder / "vulns").is_dir():
        raise SystemExit(f"{folder} has no folder vulns; give a clone of github.com/pypa/advisory-database")
    found = [yaml.safe_load(file.read_text()) for file in sorted((folder / "vulns" / package).glob("*.yaml"))]
    return [one for one in found if "withdrawn" not in one]


def holds_in(events: Sequence[dict[str, str]], version: str) -> bool:
    """Whether a version lies in a range, by its events in the order of the OSV format."""
    here, inside = Version(version), False
    for event in events:
        ((kind, at),) = event.items()
        if kind == "introduced" and (at == ANY or here >= Version(at)):
            inside = True
        elif kind == "fixed" and here >= Version(at) or kind == "last_affected" and here > Version(at):
            inside = False
    return inside


def concerns(advisory: dict, version: str) -> bool:
    """Whether an advisory of the package holds for a version; one that names no versions holds for each."""
    public = Version(version).public  # 2.13.0 of 2.13.0+cpu
    for part in advisory["affected"]:
        ranges = [one["events"] for one in part.get("ranges", []) if one["type"] == "ECOSYSTEM"]
        named = part.get("versions", [])
        if public in named or any(holds_in(events, public) for events in ranges) or not (named or ranges):
            return True
    return False


def newest(folder: Path) -> str:
    """Day of the newest change in the database, e.g. 2026-01-31."""
    lines = (line for file in folder.glob("vulns/*/*.yaml") for line in file.read_text().splitlines())
    return max(line.split()[1].strip("'\"")[:10] for line in lines if line.startswith("modified: "))


def told_of(folder: Path, versions: dict[str, str]) -> str:
    """A sentence or two on the packages, for a document. versions: package -> the one that is here."""
    known = {package: read_advisories(folder, package) for package in versions}
    held = [
        f"{one['id']} ({package} {versions[package]})"
        for package, of_package in known.items()
        for one in of_package
        if concerns(one, versions[package])
    ]
    count = sum(map(len, known.values()))
    told = f"The PyPA advisory database, last changed on {newest(folder)}, has {count} advisories of these packages. "
    return told + (
        f"These hold for a version of the table: {', '.join(held)}."
        if held
        else "None holds for a version of the table."
    )
