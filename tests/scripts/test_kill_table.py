"""The table of kills: what a kill test left in its folder, kept and shown."""

import json
import os

import pytest

from scripts import kill_table
from scripts.sections import begin_of, end_of

KILL = {"chain": 1, "came": True, "held": True, "step": 2, "seconds": 0.0, "pause": 0.25, "fault": "", "left": [],
        "survived": {"names": [], "seconds": 0.0}}  # fmt: skip
KILLS = [
    {"number": 1, "target": "node", "during": "save"},
    {
        "number": 2,
        "target": "engine",
        "during": "generation",
        "seconds": 4.6,
        "pause": 0.9,
        "fault": "it had not ended 3 s later",
    },
    {"number": 3, "target": "node", "during": "step", "held": False, "chain": 2, "pause": 0.014},
    {"number": 4, "target": "node", "during": "save", "came": False},
    {"number": 5, "target": "node", "during": "save", "chain": 3},
]
CHAINS = [
    {"number": 1, "differences": 0, "first": []},
    {"number": 2, "differences": 2, "first": ["line 1 differs"]},
    {"number": 3, "differences": 0, "first": []},
]


@pytest.fixture
def places(tmp_path, monkeypatch):
    lines = [{"settings": {"commit": "abc"}}, *[KILL | kill for kill in KILLS]]
    (tmp_path / "kills.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(tmp_path / "kills.jsonl", (86400.0, 86400.0))
    (tmp_path / "chains.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [lines[0], *CHAINS]))
    monkeypatch.setattr(kill_table, "KEPT", tmp_path / "kills.csv")
    monkeypatch.setattr(kill_table, "DOCUMENT", tmp_path / "FAULTS.md")
    (tmp_path / "FAULTS.md").write_text(begin_of("kills", kill_table.SCRIPT) + end_of("kills"))
    return tmp_path


def test_kills_are_counted_by_what_was_killed(places):
    assert kill_table.main(["--keep", str(places), "--write"]) == 0 == kill_table.main([])
    lines = (places / "FAULTS.md").read_text().splitlines()
    assert lines[3:-1] == [
        "| node | save 2, step 1 | 3 | 2 | 0 | 0.01 to 0.25 |",
        "| engine | generation 1 | 1 | 0 | 5 | 0.90 to 0.90 |",
        "",
        "4 kills, 2 identical. In 3 of them the run was seen in that part of its work as it died. "
        "Killed were runs of commit abc on 1970-01-02.",
    ]
    kept = (places / "kills.csv").read_text().splitlines()
    assert kept[2] == "engine,generation,yes,2,4.6,0.0,0.90,it had not ended 3 s later,abc,1970-01-02"
    assert kept[3] == "node,step,no,2,0.0,0.0,0.01,differs: line 1 differs,abc,1970-01-02"
    (places / "FAULTS.md").write_text((places / "FAULTS.md").read_text().replace("4 kills", "5 kills"))
    assert kill_table.main([]) == 1


def test_a_pause_that_was_not_kept_is_said_so():
    row = dict.fromkeys(kill_table.COLUMNS, "") | {"killed": "node", "in": "save", "seconds_to_end": "1.0"}
    assert kill_table.table([row]).splitlines()[2] == "| node | save 1 | 1 | 0 | 1 | not kept |"
