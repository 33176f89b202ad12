"""The table of what is as published names tests that exist."""

import re

from tests.launches import ROOT

DOCUMENT = ROOT / "verl_dots/methods/PUBLISHED.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_point_has_a_test_that_exists():
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 16 and all(line.count(" | ") == 4 for line in rows)
    untested = [line for line in rows if not NAMED.search(line)]
    assert [line.partition(" | ")[0] for line in untested] == ["| preset `all`"], "it is held by a simulation"
    for line in rows:
        for file, name in NAMED.findall(line):
            assert f"def {name}(" in (ROOT / file).read_text() if name else (ROOT / file).exists(), (file, name)
